"""Box metrics on maps small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from wsol_core.errors import DataError
from wsol_core.evaluation.box_metrics import BoxAccuracy, SweptIou, boxes_at, scaled_box


def square_map(*boxes: tuple[int, int, int, int, float], side: int = 10) -> np.ndarray:
    values = np.zeros((side, side), np.float32)
    for x0, y0, x1, y1, value in boxes:
        values[y0:y1, x0:x1] = value
    return values


def test_true_boxes_are_scaled_and_cut_down() -> None:
    assert scaled_box((10.9, 0, 99.9, 50), (100, 50)) == (24, 0, 223, 224)


def test_a_box_ends_behind_its_contour_but_not_behind_the_map() -> None:
    assert boxes_at(square_map((2, 3, 5, 7, 1.0)), 0.5).tolist() == [[2, 3, 5, 7]]
    assert boxes_at(square_map((6, 6, 10, 10, 1.0)), 0.5).tolist() == [[6, 6, 9, 9]]


def test_one_rule_takes_the_largest_contour_and_the_other_all() -> None:
    two = square_map((0, 0, 2, 2, 1.0), (4, 4, 9, 9, 1.0))
    assert boxes_at(two, 0.5).tolist() == [[4, 4, 9, 9]]
    assert sorted(boxes_at(two, 0.5, every_contour=True).tolist()) == [[0, 0, 2, 2], [4, 4, 9, 9]]


def test_nothing_above_the_cut_is_the_box_of_the_first_pixel() -> None:
    assert boxes_at(np.zeros((5, 5), np.float32), 0.5).tolist() == [[0, 0, 0, 0]]


def test_the_sweep_finds_each_levels_box() -> None:
    nested = square_map((1, 1, 9, 9, 0.4), (3, 3, 6, 6, 1.0))
    swept = SweptIou.of(nested, np.array([[3, 3, 6, 6]]))
    assert swept.largest[500] == pytest.approx(1)
    assert swept.largest[100] == pytest.approx(16 / 81)


def test_perfect_maps_reach_1_on_every_box_metric() -> None:
    accuracy = BoxAccuracy()
    for label in ("a", "b"):
        accuracy.add(label, SweptIou.of(square_map((2, 2, 7, 8, 1.0)), np.array([[2, 2, 7, 8]])))
    assert accuracy.max_box_acc() == 1
    assert accuracy.max_box_acc_v2() == {0.3: 1, 0.5: 1, 0.7: 1}
    assert accuracy.class_box_acc("a") == accuracy.class_box_acc_v2("b") == accuracy.box_acc(0.5) == 1


def test_one_threshold_serves_all_images() -> None:
    accuracy = BoxAccuracy()
    truth = np.array([[3, 3, 6, 6]])
    accuracy.add("a", SweptIou.of(square_map((1, 1, 9, 9, 0.4), (3, 3, 6, 6, 1.0)), truth))  # right above 0.4
    accuracy.add("a", SweptIou.of(square_map((3, 3, 6, 6, 0.2), (0, 0, 1, 1, 1.0)), truth))  # right below 0.2
    assert accuracy.max_box_acc() == 0.5


def test_no_image_is_an_error_that_says_so() -> None:
    with pytest.raises(DataError, match="at least one"):
        BoxAccuracy().max_box_acc()
