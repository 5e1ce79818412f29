"""Whether a project's objects are small, with fake looks of a white square."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from wsol_core.data.images import RgbPixels
from wsol_core.localization.predictor import Predictor
from wsol_core.localization.regions import region_of_mask
from wsol_core.records import Region, Sample
from wsol_core.training import closer_exam
from wsol_core.training.closer_exam import FEWEST_OBJECTS, closer_is_clearer

SIDE = 300


def a_region(low: int, high: int) -> Region:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[low:high, low:high] = True
    return region_of_mask(mask, "crab", 0.5)


HALO, OBJECT, PART = a_region(60, 240), a_region(120, 180), a_region(135, 165)


@pytest.mark.parametrize(
    ("first", "closer", "count", "clearer"),
    [
        (HALO, OBJECT, FEWEST_OBJECTS, True),
        (OBJECT, PART, FEWEST_OBJECTS, False),
        (OBJECT, OBJECT, FEWEST_OBJECTS, False),
        (HALO, None, FEWEST_OBJECTS, False),
        (HALO, OBJECT, FEWEST_OBJECTS - 1, False),
    ],
)
def test_closer_is_clearer_where_the_first_look_takes_halos_for_objects(
    monkeypatch: pytest.MonkeyPatch, first: Region, closer: Region | None, count: int, clearer: bool
) -> None:
    pixels = np.full((SIDE, SIDE, 3), 40, np.uint8)
    pixels[120:180, 120:180] = 230

    def fake_looks_of(_: Predictor, samples: Sequence[Sample]) -> Iterator[tuple[RgbPixels, list[Region]]]:
        yield from ((pixels, [first] if closer is None else [first, closer]) for _ in samples)

    monkeypatch.setattr(closer_exam, "looks_of", fake_looks_of)
    unused = cast(Predictor, None)
    assert closer_is_clearer(unused, [Sample("", Path(), ("crab",))] * count) is clearer
