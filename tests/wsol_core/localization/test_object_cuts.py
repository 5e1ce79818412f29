"""Single objects snapped to the edges of their image, neighbours and wrong cuts left alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wsol_core.localization.instances import FoundObject
from wsol_core.localization.object_cuts import snap_to_edges

SIDE = 224
Box = tuple[int, int, int, int]


def a_table(*cards: Box) -> NDArray[np.uint8]:
    """White cards on brown, with some noise."""
    pixels = np.full((SIDE, SIDE, 3), (110, 70, 40), np.uint8)
    for x0, y0, x1, y1 in cards:
        pixels[y0:y1, x0:x1] = 235
    noise = np.random.default_rng(0).normal(0, 8, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def an_object(box: Box, agreement: float = 0.9) -> FoundObject:
    """Found with a map of `box`."""
    x0, y0, x1, y1 = box
    own = np.zeros((SIDE, SIDE), np.float32)
    own[y0:y1, x0:x1] = 0.7
    return FoundObject(0, 0.8, np.array(box, np.float32) / SIDE, own, 0.35, agreement)


def bounds(found: FoundObject) -> list[int]:
    mask = found.score_map > found.threshold
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


@pytest.mark.parametrize("agreement", [0.9, 0.0])  # the map's box, or the peak's
def test_an_object_that_misses_the_corners_gets_them(agreement: float) -> None:
    (cut,) = snap_to_edges([an_object((66, 65, 113, 152), agreement)], a_table((60, 60, 120, 160)))
    assert bounds(cut) == pytest.approx([60, 60, 120, 160], abs=2)


def test_a_neighbour_is_not_taken() -> None:
    found = [an_object((63, 63, 117, 157)), an_object((122, 63, 178, 157))]
    cuts = snap_to_edges(found, a_table((60, 60, 180, 160)))
    assert bounds(cuts[0]) == pytest.approx([60, 60, 120, 160], abs=4)
    assert bounds(cuts[1]) == pytest.approx([120, 60, 180, 160], abs=4)


def test_a_cut_of_something_else_is_refused() -> None:
    found = an_object((70, 70, 110, 110))
    assert snap_to_edges([found], a_table((60, 60, 72, 160))) == [found]


def test_nothing_is_cut_of_an_empty_map() -> None:
    empty = FoundObject(
        0, 0.8, np.array([0.3, 0.3, 0.5, 0.5], np.float32), np.zeros((SIDE, SIDE), np.float32), 0.35, 0.9
    )
    assert snap_to_edges([empty], a_table()) == [empty]
