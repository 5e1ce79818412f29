"""Cut regions out of an activation map: mask, components, boxes, polygons and scores, in pixels of the full image.

Arrays in, Regions out; torch-free. See predictor.py for which map and which threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.ops.maps import resize
from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask, FloatMap, Region

# docs/methods.md says how each number was chosen; `python -m benchmarks.ablation` lists what it can measure.
MIN_AREA = 0.005  # of the image
MIN_SHARE = 0.05  # of the largest region's area
MAX_REGIONS = 20
MOST_PIXELS = 16_000_000  # that regions are found in: each takes several arrays, and maps are far smaller
POLYGON_TOLERANCE = 0.005  # of the outline's length
ROUNDING_PX = 1e-2  # of a box in shares of the image: whole pixels stay whole
_SURE = 1e-3  # raw scores stay finite, within +-7


def certainty(share: float) -> float:
    """A share of certainty, kept so far from 0 and 1 that its logit stays within +-7."""
    return min(max(share, _SURE), 1 - _SURE)


def extract_regions(
    score_map: FloatMap,
    size_wh: tuple[int, int],
    label: str,
    threshold: float,
    presence: float,
    *,
    min_area: float = MIN_AREA,
    max_regions: int = MAX_REGIONS,
) -> list[Region]:
    """The regions of one class, most certain first: connected parts of the map above `threshold`.

    An island in a hole of a part belongs to that part. Parts smaller than `min_area` of the image or than a
    twentieth of the largest part are dropped, but never the largest; of more than `max_regions` those with the
    largest outlines are taken. No region where nothing is above the threshold. Scores are not calibrated: the mean of
    the map inside the region minus its mean where no region is, times `presence`.

    Args: score_map: (h, w) in [0, 1] of the whole image, of any size. size_wh: of the image. presence: the
        class's probability, in [0, 1].
    """
    width, height = size_wh
    full = resize(score_map, size_wh, cv2.INTER_LINEAR)
    mask = (full > threshold).view(np.uint8)
    parts = _parts(mask, max_regions)
    if not parts:
        return []
    least = max(min_area * width * height, MIN_SHARE * max(part.area for part in parts))
    kept = [part for part in parts if part.area >= least] or [max(parts, key=lambda part: part.area)]
    outside = _mean(full, 1 - mask)
    regions = []
    for part in kept:
        x, y, w, h = part.box_xywh
        window = (slice(y, y + h), slice(x, x + w))
        whole = np.zeros((height, width), np.bool_)
        whole[window] = part.inside
        score = certainty((_mean(full[window], part.inside) - outside) * presence)
        regions.append(Region(label, (x, y, x + w, y + h), score, _polygon(part), whole))
    return sorted(regions, key=lambda region: -region.score)


def findable_size(size_wh: tuple[int, int]) -> tuple[int, int]:
    """The size in which regions of an image are found: its own, or a whole fraction of it where that is huge."""
    fraction = max(1, math.ceil(math.sqrt(size_wh[0] * size_wh[1] / MOST_PIXELS)))
    return (size_wh[0] // fraction, size_wh[1] // fraction) if min(size_wh) >= fraction else size_wh


def enlarged(region: Region, size_wh: tuple[int, int]) -> Region:
    """A region of an image as one of the same image in a larger size."""
    height, width = region.mask.shape
    across, down = size_wh[0] / width, size_wh[1] / height
    x0, y0, x1, y1 = map(int, region.box_xyxy)
    left, top, right, bottom = math.floor(x0 * across), math.floor(y0 * down), round(x1 * across), round(y1 * down)
    part = np.ascontiguousarray(region.mask[y0:y1, x0:x1]).view(np.uint8)
    whole: BoolMask = np.zeros(size_wh[::-1], np.bool_)  # of which the system gives what is written alone
    whole[top:bottom, left:right] = resize(part, (right - left, bottom - top), cv2.INTER_NEAREST).view(np.bool_)
    polygon = tuple((x * across, y * down) for x, y in region.polygon)
    return replace(region, box_xyxy=(left, top, right, bottom), polygon=polygon, mask=whole)


def with_margin(region: Region, margin: float) -> Region:
    """A region whose box reaches beyond the one it had by `margin` of its sides, as far as its image does."""
    height, width = region.mask.shape
    x0, y0, x1, y1 = region.box_xyxy
    across, down = margin * (x1 - x0), margin * (y1 - y0)
    box = max(0, x0 - across), max(0, y0 - down), min(width, x1 + across), min(height, y1 + down)
    return replace(region, box_xyxy=box) if margin else region


def region_of_mask(mask: BoolMask, label: str, score: float) -> Region:
    """A region of a mask (H, W) that is not empty, whatever parts it has; the polygon is the largest one's."""
    height, width = mask.shape
    shares = np.array(bounds(mask)) / (width, height, width, height)
    return region_of_box(shares.astype(np.float32), mask, (width, height), label, score)


def region_of_box(
    box: NDArray[np.float32], inside: BoolMask | None, size_wh: tuple[int, int], label: str, score: float
) -> Region:
    """A region whose box is known better than its mask.

    Args: box: (4,) xyxy in shares of the image. inside: (H, W), a mask of which the part in the box is taken; where
        that is empty, or there is none, the whole box is the mask.
    """
    width, height = size_wh
    x0, y0 = (int(value) for value in np.floor(box[:2] * size_wh + ROUNDING_PX))
    x1, y1 = (int(value) for value in np.ceil(box[2:] * size_wh - ROUNDING_PX))
    x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    x1, y1 = max(min(x1, width), x0 + 1), max(min(y1, height), y0 + 1)
    whole: BoolMask = np.zeros((height, width), np.bool_)
    window = slice(y0, y1), slice(x0, x1)
    whole[window] = True if inside is None or not inside[window].any() else inside[window]
    part = max(_parts(whole.view(np.uint8), MAX_REGIONS), key=lambda each: each.area)
    return Region(label, (x0, y0, x1, y1), score, _polygon(part), whole)


@dataclass(frozen=True, slots=True)
class _Part:
    """A connected part of a mask: outer contour (K, 1, 2) xy, box, its pixels (h, w) within the box, and how many."""

    contour: NDArray[np.int32]
    box_xywh: tuple[int, int, int, int]
    inside: NDArray[np.uint8]
    area: int


def _parts(mask: NDArray[np.uint8], most: int) -> list[_Part]:
    """Contours instead of labelled components: four times as fast, and the outline is wanted anyway."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in sorted(contours, key=cv2.contourArea, reverse=True)[:most]:
        x, y, w, h = (int(v) for v in cv2.boundingRect(contour))
        filled = np.zeros((h, w), np.uint8)
        cv2.drawContours(filled, [contour], 0, 1, cv2.FILLED, offset=(-x, -y))
        inside = filled & mask[y : y + h, x : x + w]
        found.append(_Part(np.asarray(contour, np.int32), (x, y, w, h), inside, cv2.countNonZero(inside)))
    return found


def _polygon(part: _Part) -> tuple[tuple[float, float], ...]:
    """The outer contour, simplified, through pixel centres; the box's corners where it has no area. No holes."""
    tolerance = POLYGON_TOLERANCE * cv2.arcLength(part.contour, closed=True)
    corners = cv2.approxPolyDP(part.contour, tolerance, closed=True)[:, 0]
    if len(corners) < 3:
        x, y, w, h = part.box_xywh
        return ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
    return tuple((float(x) + 0.5, float(y) + 0.5) for x, y in corners)


def _mean(values: NDArray[np.float32], where: NDArray[np.uint8]) -> float:
    """Mean over the pixels where `where` is 1; 0 of none."""
    return float(np.asarray(cv2.mean(values, where))[0])
