"""Parts of maps that are too large and ragged, or too small, for one object of their class."""

from __future__ import annotations

import numpy as np
import pytest

from wsol_core.data.composites import PlacedObject
from wsol_core.methods.typical_objects import TypicalObjects

Box = tuple[int, int, int, int]


def part(*boxes: Box, label: int = 0) -> PlacedObject:
    mask = np.zeros((64, 64), np.bool_)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return PlacedObject(label, mask, int(np.count_nonzero(mask)))


LONE = part((10, 10, 26, 26))
PAIR = (10, 10, 26, 26), (24, 24, 40, 40)  # that touches at a corner
MELTED = part(*PAIR)
LARGE = part((10, 10, 33, 33))  # twice the area, and as compact as one
RAGGED = part((10, 10, 14, 26), (10, 22, 26, 26))
SPECK = part((10, 10, 16, 16))


def test_two_that_melted_and_a_speck_are_no_object_and_a_large_one_is() -> None:
    typical = TypicalObjects.of([LONE] * 10 + [MELTED] * 4 + [SPECK])
    assert typical.melting
    assert [typical.has(each) for each in (LONE, LARGE, MELTED, SPECK)] == [True, True, False, False]


def test_where_small_parts_are_as_ragged_as_large_ones_nothing_has_melted() -> None:
    typical = TypicalObjects.of([LONE] * 10 + [MELTED] * 3 + [RAGGED] * 3)
    assert not typical.melting and typical.has(MELTED)


def test_a_class_of_ragged_objects_is_judged_by_its_own_shape() -> None:
    typical = TypicalObjects.of([RAGGED] * 20)
    assert typical.has(RAGGED) and not typical.melting


def test_few_parts_tell_neither_what_melts_nor_what_a_class_is_like() -> None:
    other = part(*PAIR, label=1)
    assert TypicalObjects.of([LONE, LONE, MELTED]).has(MELTED)
    assert not TypicalObjects.of([LONE] * 12 + [MELTED] * 4 + [other]).has(other), "other classes' objects are smaller"


def test_the_typical_area_is_that_of_compact_parts() -> None:
    typical = TypicalObjects.of([LONE] * 5 + [MELTED] * 4)
    assert np.exp(typical.log_area[0]) == pytest.approx(256)
    assert TypicalObjects.of([]).log_area == {}
