"""How far people's boxes reach beyond found ones, by hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest

from wsol_core.records import BoxXyxy, CorrectedRegion, Region
from wsol_core.training.box_margins import PRIOR_OBJECTS, box_margin

SIZE = (200, 100)
MASK = np.zeros(SIZE[::-1], np.bool_)
TIGHT = (40.0, 20.0, 80.0, 40.0)
LOOSE = (36.0, 18.0, 84.0, 42.0)  # a tenth of the tight box's side more at each side


def found(*boxes: BoxXyxy) -> list[Region]:
    return [Region("cat", box, 0.5, (), MASK) for box in boxes]


def drawn(*boxes: BoxXyxy) -> list[CorrectedRegion]:
    return [CorrectedRegion("cat", box) for box in boxes]


@pytest.mark.parametrize(
    ("tight", "loose", "margin"), [(TIGHT, LOOSE, 0.1), (LOOSE, TIGHT, -1 / 12), (TIGHT, TIGHT, 0)]
)
def test_a_margin_is_drawn_towards_none_where_few_boxes_tell_of_it(
    tight: BoxXyxy, loose: BoxXyxy, margin: float
) -> None:
    images = [(found(tight), drawn(loose), SIZE)]
    assert box_margin(images) == pytest.approx(margin / (1 + PRIOR_OBJECTS))
    assert box_margin(100 * images) == pytest.approx(margin, rel=0.06)


def test_one_wrong_box_of_many_does_not_count() -> None:
    images = [(found(TIGHT), drawn(LOOSE), SIZE)] * 20
    assert box_margin([*images, (found(TIGHT), drawn((40, 20, 110, 40)), SIZE)]) == pytest.approx(0.1 * 21 / 26)


def test_sides_at_the_edge_of_an_image_tell_nothing() -> None:
    images = [(found((0, 0, 40, 20)), drawn((0, 0, 44, 22)), SIZE)] * 100
    assert box_margin(images) == pytest.approx(0.1, rel=0.06)


def test_boxes_that_are_on_no_object_tell_nothing() -> None:
    assert box_margin([(found(TIGHT), drawn((120, 60, 160, 80)), SIZE), (found(), drawn(TIGHT), SIZE)]) == 0
    assert box_margin([]) == 0
