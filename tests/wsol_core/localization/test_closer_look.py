"""Regions looked at again from closer up, with looks whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.wsol_core.localization.drawn_table import HEIGHT, SQUARE, WIDTH, Box, a_region, a_table
from wsol_core.data.images import RgbPixels
from wsol_core.localization.closer_look import LOOKS, clearest, closer_looks
from wsol_core.localization.outline_contrast import LEAST_PX
from wsol_core.localization.regions import region_of_mask
from wsol_core.records import Region


def a_judged_region(box: Box, score: float = 0.3) -> Region:
    return replace(a_region(box, score), keep=0.6, contrast=0.1)


class FakeLook:
    """Finds what is white in a crop, and nothing any more after `times`."""

    def __init__(self, times: int = 9) -> None:
        self.times = times
        self.sizes: list[tuple[int, int]] = []
        self.labels: list[str] = []

    def __call__(self, crops: Sequence[RgbPixels], labels: Sequence[str]) -> list[Region | None]:
        self.sizes += [crop.shape[:2] for crop in crops]
        self.labels += labels
        self.times -= 1
        return [
            region_of_mask(crop.min(2) > 180, label, 0.9) if self.times >= 0 else None
            for crop, label in zip(crops, labels, strict=True)
        ]


def test_a_closer_look_finds_the_object_in_its_place_and_is_the_clearest() -> None:
    halo, look = a_judged_region((180, 140, 300, 260)), FakeLook()
    (looks,) = closer_looks(a_table(), [halo], look)
    assert looks[0] is halo and len(looks) == 1 + LOOKS
    assert look.sizes == [(144, 144), (LEAST_PX, LEAST_PX)] and set(look.labels) == {"crab"}
    found = clearest(a_table(), looks)
    assert found.box_xyxy == SQUARE and found.mask.shape == (HEIGHT, WIDTH)
    assert np.count_nonzero(found.mask) == 40 * 40
    judged = (halo.score, halo.keep, halo.contrast)
    assert (found.score, found.keep, found.contrast) == judged, "what it is judged by stays the first look's"


def test_where_a_look_finds_nothing_no_other_follows() -> None:
    look = FakeLook(times=1)
    seen = closer_looks(a_table(), [a_judged_region((180, 140, 300, 260)), a_judged_region((200, 160, 280, 240))], look)
    assert [len(looks) for looks in seen] == [2, 2] and len(look.sizes) == 4


@pytest.mark.parametrize("box", [(0, 0, 10, 12), (WIDTH - 9, HEIGHT - 9, WIDTH, HEIGHT), (0, 0, WIDTH, HEIGHT)])
def test_windows_stay_inside_of_the_image(box: Box) -> None:
    look = FakeLook(times=0)
    assert [len(looks) for looks in closer_looks(a_table(), [a_judged_region(box)], look)] == [1]
    ((height, width),) = look.sizes
    assert LEAST_PX <= height == width <= HEIGHT


def test_of_no_regions_nothing_is_looked_at() -> None:
    assert closer_looks(a_table(), [], FakeLook()) == []
