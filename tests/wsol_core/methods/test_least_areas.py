"""Parts of maps that are far smaller than objects of their class are specks."""

from __future__ import annotations

import numpy as np
import pytest

from wsol_core.data.composites import PlacedObject
from wsol_core.methods.least_areas import least_areas


def part(side: int, label: int = 0) -> PlacedObject:
    mask = np.zeros((64, 64), np.bool_)
    mask[:side, :side] = True
    return PlacedObject(label, mask, side * side)


def test_a_quarter_of_the_median_area_is_the_least() -> None:
    assert least_areas([part(20)] * 5 + [part(3)] * 4 + [part(40)]) == {0: pytest.approx(100)}
    assert least_areas([]) == {}


def test_each_class_has_its_own_and_few_parts_are_drawn_towards_all() -> None:
    parts = [part(20)] * 40 + [part(40, label=1)] * 20 + [part(40, label=2)]
    found = least_areas(parts)
    assert found[0] == pytest.approx(100)
    assert 300 < found[1] < 400
    assert 100 < found[2] < 150
