"""Objects snapped to the edges of their image one by one: a graph cut of each and of what is around it.

The cut of a whole map (refinement.py) has one colour model for all that is no object. Around a single object there are
fewer colours, and more pixels for its edges. It helps where objects have edges of their own, such as cards on a table,
and harms where stripes look like edges, so each project tells; see training/view_exam.py. Arrays in, arrays out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.localization.instances import TRUSTED, FoundObject
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.grabcut import MIN_PIXELS, cut_sides
from wsol_core.ops.maps import resize
from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask

MARGIN = 0.4  # of a box's sides: what is seen around it
BACKGROUND_FROM = 0.6  # of the margin: what lies farther is background
MOST_PX = 96  # of the window's sides; a cut's time grows with their product
CERTAIN = 0.9  # of the object's own map: its
OTHERS = 0.3  # of another object's map: not this one's
SAME_BOX = 0.7  # IoU of the boxes with and without the cut; one that differs more followed edges of something else


def snap_to_edges(found: Sequence[FoundObject], pixels: NDArray[np.uint8]) -> list[FoundObject]:
    """The objects with their cuts as maps, those alone whose boxes stay nearly the same.

    Args: pixels: (S, S, 3) RGB, the image in the size of the objects' maps.
    """
    areas = [each.score_map > OTHERS for each in found]
    snapped = []
    for number, each in enumerate(found):
        others = np.zeros(pixels.shape[:2], np.bool_)
        for area in (*areas[:number], *areas[number + 1 :]):
            others |= area
        snapped.append(_snapped(each, others, pixels))
    return snapped


def _snapped(found: FoundObject, others: BoolMask, pixels: NDArray[np.uint8]) -> FoundObject:
    box = _box(found)
    if box is None:
        return found
    window, box_inside = _window(box, pixels.shape[0])
    height, width = (part.stop - part.start for part in window)
    scale = min(1.0, MOST_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    own = resize(np.ascontiguousarray(found.score_map[window]), size, cv2.INTER_AREA)
    taken = resize(others[window].astype(np.float32), size, cv2.INTER_AREA) > 0.5
    sides = np.where(own > found.threshold, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    sides[own > CERTAIN] = cv2.GC_FGD
    sides[taken | _far(box_inside, (height, width), size)] = cv2.GC_BGD
    foreground = int(np.count_nonzero(sides & 1))
    if not MIN_PIXELS <= foreground <= sides.size - MIN_PIXELS:
        return found
    part = _largest(cut_sides(resize(np.ascontiguousarray(pixels[window]), size, cv2.INTER_AREA), sides))
    whole = np.zeros_like(found.score_map)
    whole[window] = resize(part.astype(np.float32), (width, height), cv2.INTER_LINEAR)
    cut = replace(found, score_map=whole, threshold=0.5, agreement=1.0)
    after = _box(cut)
    if after is None or float(box_iou(box[None], after[None], inclusive=False)[0, 0]) < SAME_BOX:
        return found
    return cut


def _box(found: FoundObject) -> NDArray[np.float64] | None:
    """Its box as it is shown without a cut, in pixels of the map."""
    if found.agreement < TRUSTED:
        return np.asarray(found.box * found.score_map.shape[0], np.float64)
    box = np.array(bounds(_largest(found.score_map > found.threshold)), np.float64)
    return box if box.any() else None


def _largest(mask: BoolMask) -> BoolMask:
    """The largest connected part of a mask."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if len(stats) <= 2:
        return mask
    return np.asarray(numbers == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()), np.bool_)


def _window(box: NDArray[np.float64], side: int) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """Rows and columns of the box with its margin, within the image, and the box as seen from there."""
    wide, high = MARGIN * (box[2] - box[0]), MARGIN * (box[3] - box[1])
    left, top = max(0, math.floor(box[0] - wide)), max(0, math.floor(box[1] - high))
    right, bottom = min(side, math.ceil(box[2] + wide)), min(side, math.ceil(box[3] + high))
    return (slice(top, bottom), slice(left, right)), box - (left, top, left, top)


def _far(box: NDArray[np.float64], shape_hw: tuple[int, int], size_wh: tuple[int, int]) -> BoolMask:
    """The places of a window, resized to `size_wh`, that lie far from the box."""
    along = []
    for low, high, length, count in zip(box[:2], box[2:], shape_hw[::-1], size_wh, strict=True):
        places = (np.arange(count) + 0.5) / count * length
        reach = BACKGROUND_FROM * MARGIN * (high - low)
        along.append((places < low - reach) | (places > high + reach))
    return np.asarray(along[0][None] | along[1][:, None], np.bool_)
