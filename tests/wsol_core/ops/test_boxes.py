"""Box IoU under both conventions of a box's end, and the box of the largest component."""

from __future__ import annotations

import numpy as np
import pytest

from wsol_core.ops.boxes import box_iou, largest_component_box


def test_iou_counts_both_corners() -> None:
    # 3 x 3 and 3 x 3 pixels that share 2 x 2: 4 / (9 + 9 - 4)
    shared, apart = np.array([[1, 1, 3, 3]]), np.array([[4, 4, 5, 5]])
    assert box_iou(np.array([[0, 0, 2, 2]]), shared, inclusive=True).item() == pytest.approx(4 / 14)
    assert box_iou(np.array([[0, 0, 2, 2]]), apart, inclusive=True).item() == 0


def test_iou_of_boxes_with_exclusive_ends_is_that_of_their_areas() -> None:
    # 2 x 2 and 2 x 2 that share 1 x 1: 1 / (4 + 4 - 1)
    boxes, truth = np.array([[0, 0, 2, 2], [0, 0, 4, 1]]), np.array([[1, 1, 3, 3], [0, 0, 2, 2], [2, 2, 3, 3]])
    assert box_iou(boxes, truth, inclusive=False) == pytest.approx(np.array([[1 / 7, 1, 0], [0, 2 / 6, 0]]))


def test_no_boxes_have_no_iou() -> None:
    assert box_iou(np.zeros((0, 4)), np.zeros((3, 4)), inclusive=False).shape == (0, 3)


def test_the_largest_component_counts_diagonal_neighbours_and_ends_behind_its_last_pixel() -> None:
    mask = np.zeros((8, 10), np.bool_)
    mask[0, 0:3] = True
    mask[3, 4] = mask[4, 5] = mask[5, 6] = mask[5, 7] = True
    assert largest_component_box(mask) == (4, 3, 8, 6)
    assert largest_component_box(np.zeros((8, 10), np.bool_)) is None
