"""Keeps masks from slowing the annotation editor down: a mask whose code is too long is made plainer until it fits.

Arrays in, arrays out. How long a mask's code is, is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import cv2
import numpy as np

from wsol_core.ops.masks import bounds, window_of
from wsol_core.records import BoolMask

MASK_BUDGET_BYTES = 200_000  # of JSON, for one mask

_SPECK = 0.01  # of the object's area
_MOST_CHANGED = 0.2  # of the object's area, by removing specks; where it takes more, the object is specks


def fit_mask(mask: BoolMask, cost: Callable[[BoolMask], int], budget: int = MASK_BUDGET_BYTES) -> BoolMask:
    """The mask (H, W) itself where `cost` is within the budget, otherwise the least simplified one that is.

    A budget below twice what the plain box costs (a very tall picture has that many rows) counts as that.
    """
    if cost(mask) <= budget or not mask.any():
        return mask
    box = _box(mask)
    budget = max(budget, 2 * cost(box))
    return next(plainer for plainer in chain(_simplified(mask), [box]) if cost(plainer) <= budget)


def _simplified(mask: BoolMask) -> Iterator[BoolMask]:
    """Without specks and pinholes; then smoothed, more and more. The last ones have little but the rough place left."""
    tidy = _fill_specks(_fill_specks(mask), background=True)
    changed = np.count_nonzero(tidy != mask) / np.count_nonzero(mask)
    start = tidy if changed <= _MOST_CHANGED else mask
    yield start
    size = 2
    while size <= max(mask.shape):
        smooth = _smooth(start, size)
        if smooth.any():
            yield smooth
        size *= 2


def _fill_specks(mask: BoolMask, background: bool = False) -> BoolMask:
    """Without the connected parts that are smaller than specks: of the object, or of the `background`."""
    parts = (~mask if background else mask).view(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(parts, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < _SPECK * np.count_nonzero(mask)
    small[0] = False  # what is no part at all
    return np.asarray(mask ^ small[labels], np.bool_)


def _smooth(mask: BoolMask, size: int) -> BoolMask:
    """The mask as seen in cells of `size` pixels: what the object has most of, unless that is less than half of it.

    Then the cut is lower, such that the area stays about the same.
    """
    height, width = mask.shape
    cells_wh = (max(1, width // size), max(1, height // size))
    cells = np.asarray(cv2.resize(mask.astype(np.float32), cells_wh, interpolation=cv2.INTER_AREA), np.float32)
    full = np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    most = full > 0.5
    if 2 * np.count_nonzero(most) >= np.count_nonzero(mask):
        return most
    level = float(np.quantile(full, 1 - float(mask.mean())))
    return (full >= level) & (full > 0)


def _box(mask: BoolMask) -> BoolMask:
    """All of the mask's bounding box."""
    box = np.zeros_like(mask)
    box[window_of(bounds(mask))] = True
    return box
