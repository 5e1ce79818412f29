"""IoU of masks, and the part of a mask inside a box."""

from __future__ import annotations

import numpy as np

from wsol_core.ops.masks import inside_box, mask_iou


def test_mask_iou_of_half_covered_and_empty_masks() -> None:
    half, full, empty = np.array([[True, False]]), np.array([[True, True]]), np.array([[False, False]])
    assert (mask_iou(half, full), mask_iou(empty, full), mask_iou(empty, empty)) == (0.5, 0, 1)


def test_a_box_owns_every_pixel_that_it_touches() -> None:
    mask = np.arange(1, 17, dtype=np.uint8).reshape(4, 4)
    part = inside_box(mask, (1.9, -2.0, 2.1, 1.5))
    assert part.tolist() == [[0, 2, 3, 0], [0, 6, 7, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert mask.min() == 1
