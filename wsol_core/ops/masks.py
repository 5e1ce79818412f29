"""Masks (H, W): intersection over union, and the part of one inside a box."""

from __future__ import annotations

import math
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.records import BoolMask, BoxXyxy

Value = TypeVar("Value", bound=np.generic)


def mask_iou(mask: BoolMask, truth: BoolMask) -> float:
    """Intersection over union of two masks (H, W); 1 when both are empty."""
    union = np.count_nonzero(mask | truth)
    return np.count_nonzero(mask & truth) / union if union else 1.0


def window_of(box_xyxy: BoxXyxy) -> tuple[slice, slice]:
    """The rows and columns that a box touches; it may begin outside of the image."""
    x0, y0, x1, y1 = box_xyxy
    return slice(max(0, int(y0)), math.ceil(y1)), slice(max(0, int(x0)), math.ceil(x1))


def inside_box(mask: NDArray[Value], box_xyxy: BoxXyxy) -> NDArray[Value]:
    """The mask's pixels that the box touches, the rest 0."""
    window = window_of(box_xyxy)
    inside = np.zeros_like(mask)
    inside[window] = mask[window]
    return inside


def bounds(mask: BoolMask) -> tuple[int, int, int, int]:
    """The box (x0, y0, x1, y1), x1 and y1 exclusive, of all pixels of a mask; zeros of an empty one."""
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    return int(x), int(y), int(x + w), int(y + h)
