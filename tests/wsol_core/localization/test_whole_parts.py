"""An object that is alone in its part of a map gets all of it; neighbours and strangers do not."""

from __future__ import annotations

import numpy as np

from wsol_core.localization.instances import FoundObject
from wsol_core.localization.whole_parts import give_whole_parts
from wsol_core.records import FloatMap

SIDE = 64
Box = tuple[int, int, int, int]


def a_map(*boxes: Box) -> FloatMap:
    full = np.zeros((SIDE, SIDE), np.float32)
    for x0, y0, x1, y1 in boxes:
        full[y0:y1, x0:x1] = 0.8
    return full


def an_object(box: Box, own: FloatMap) -> FoundObject:
    return FoundObject(0, 0.9, np.array(box, np.float32) / SIDE, own, 0.35, 0.6)


def test_what_sticks_out_belongs_to_an_object_that_is_alone() -> None:
    hull, sail = (16, 32, 48, 48), (28, 12, 36, 32)
    boat = an_object((16, 14, 48, 48), a_map(hull))
    (whole,) = give_whole_parts([boat], {0: a_map(hull, sail)}, {0: 0.5})
    assert np.array_equal(whole.score_map, a_map(hull, sail)) and whole.threshold == 0.5


def test_neighbours_in_one_part_keep_their_own_places() -> None:
    left, right = (8, 16, 32, 48), (32, 16, 56, 48)
    found = [an_object(left, a_map(left)), an_object(right, a_map(right))]
    assert give_whole_parts(found, {0: a_map(left, right)}, {0: 0.5}) == found


def test_a_part_that_is_far_larger_is_more_than_the_object() -> None:
    small = an_object((16, 16, 32, 32), a_map((16, 16, 32, 32)))
    assert give_whole_parts([small], {0: a_map((8, 8, 60, 60))}, {0: 0.5}) == [small]


def test_an_object_outside_of_all_parts_stays_as_it_is() -> None:
    faint = an_object((16, 16, 32, 32), a_map((16, 16, 32, 32)))
    assert give_whole_parts([faint], {0: a_map()}, {0: 0.5}) == [faint]
