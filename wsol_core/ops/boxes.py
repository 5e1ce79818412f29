"""Boxes (x0, y0, x1, y1) in pixels: intersection over union, and the box of a mask's largest component."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.records import BoolMask


def box_iou(boxes: NDArray[np.generic], truth: NDArray[np.generic], *, inclusive: bool) -> NDArray[np.float64]:
    """(K, G) intersection over union of boxes (K, 4) and (G, 4).

    Args: inclusive: whether x1 and y1 belong to the box, so that a side is x1 - x0 + 1, as the WSOL evaluation protocol
        counts; everything else here has them exclusive.
    """
    shared, areas, true_areas = shared_areas(boxes, truth, inclusive=inclusive)
    return np.asarray(shared / (areas + true_areas - shared), np.float64)


def inside_share(boxes: NDArray[np.generic], others: NDArray[np.generic]) -> NDArray[np.float64]:
    """(K, G): of the smaller one of boxes (K, 4) and (G, 4), x1 and y1 exclusive, the share that lies in the other."""
    shared, areas, other_areas = shared_areas(boxes, others, inclusive=False)
    return np.asarray(shared / np.minimum(areas, other_areas), np.float64)


def shared_areas(
    boxes: NDArray[np.generic], others: NDArray[np.generic], *, inclusive: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(K, G) what boxes (K, 4) and (G, 4) share; (K, 1) and (1, G), their areas. Args: inclusive: as in `box_iou`."""
    a, b = np.asarray(boxes, np.float64)[:, None], np.asarray(others, np.float64)[None]
    end = float(inclusive)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]) + end
    areas, other_areas = ((box[..., 2:] - box[..., :2] + end).prod(axis=-1) for box in (a, b))
    return sides.clip(min=0).prod(axis=-1), areas, other_areas


def largest_component_box(mask: BoolMask) -> tuple[int, int, int, int] | None:
    """The box, x1 and y1 exclusive, of the largest 8-connected component of a mask (H, W); None of an empty mask."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if count < 2:
        return None
    x, y, w, h, _ = (int(value) for value in stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))])
    return x, y, x + w, y + h
