"""Masks as polygons: outlines along the pixels' edges, as few points as keep the mask. Torch-free.

Formats without holes, or with one outline an object, get them by cuts without width: the outline goes along a straight
line to the other part, around it, and back the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.ops.masks import bounds, mask_iou
from wsol_core.records import BoolMask

LEAST_IOU = 0.985  # of a polygon with its mask; readers fill polygons in different ways, and may lose a hundredth
SAME_BOUNDS_PX = 0.3
TOLERANCES_PX = (2.0, 1.5, 1.0, 0.7, 0.5, 0.35, 0.0)
SPECK = 0.002  # of the mask's area: smaller parts and holes are left out, where the polygon is good enough without
MOST_CONTOURS = 100  # of parts and holes; a mask that is more specks than object is smoothed until it has fewer

Ring = NDArray[np.float64]  # (K, 2) xy in pixels, K >= 3; the last point is joined to the first


def outlines(mask: BoolMask) -> list[Ring]:
    """The outline of each connected part of a mask (H, W), the largest first; nothing of an empty mask.

    Coordinates run along the edges of pixels: a mask of the one pixel (0, 0) is (0, 0), (1, 0), (1, 1), (0, 1).

    Example:
        >>> [len(ring) for ring in outlines(mask)]
        [31]
    """
    x0, y0, x1, y1 = bounds(mask)
    if x1 <= x0:
        return []
    inside = _without_noise(np.ascontiguousarray(mask[y0:y1, x0:x1]))
    for least in (SPECK * np.count_nonzero(inside), 0.0):
        parts = _parts(inside, least)
        for tolerance in TOLERANCES_PX:
            rings = [_joined([_simplified(ring, tolerance) for ring in part]) for part in parts]
            if _reach(rings, inside) and mask_iou(filled(rings, (x1 - x0, y1 - y0)), inside) >= LEAST_IOU:
                return [ring + (x0, y0) for ring in rings]
    return [ring + (x0, y0) for ring in rings]


def outline(mask: BoolMask) -> Ring | None:
    """One outline for all parts of a mask, joined by cuts without width; None of an empty mask."""
    rings = outlines(mask)
    return _joined(rings) if rings else None


def box_ring(box_xyxy: Sequence[float]) -> Ring:
    """The corners of a box (x0, y0, x1, y1), clockwise from the upper left."""
    x0, y0, x1, y1 = box_xyxy
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)


def filled(rings: Sequence[Ring], size_wh: tuple[int, int]) -> BoolMask:
    """The pixels (H, W) whose centres lie inside an odd number of rings."""
    width, height = size_wh
    crossings = np.zeros((height, width + 1), np.int32)
    for ring in rings:
        start, end = ring, np.roll(ring, -1, axis=0)
        first, last = (np.ceil(y - 0.5) for y in np.sort([start[:, 1], end[:, 1]], axis=0))
        first, last = first.clip(0, height).astype(np.int64), last.clip(0, height).astype(np.int64)
        counts = last - first
        edge = np.repeat(np.arange(len(ring)), counts)
        rows = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts) + first[edge]
        slope = (end[edge, 0] - start[edge, 0]) / (end[edge, 1] - start[edge, 1])
        x = start[edge, 0] + (rows + 0.5 - start[edge, 1]) * slope
        np.add.at(crossings, (rows, np.ceil(x - 0.5).clip(0, width).astype(np.int64)), 1)
    return np.asarray(crossings[:, :width].cumsum(axis=1) % 2 == 1)


def _reach(rings: Sequence[Ring], mask: BoolMask) -> bool:
    """Whether the rings have the same bounds as the mask, within SAME_BOUNDS_PX."""
    points = np.concatenate(rings)
    far = np.abs(np.concatenate([points.min(axis=0), points.max(axis=0)]) - bounds(mask))
    return bool(far.max() <= SAME_BOUNDS_PX)


def _without_noise(mask: BoolMask) -> BoolMask:
    """The mask, or what it has most of around each pixel, where it has too many parts and holes to outline."""
    size, plain = 1, mask
    while plain.any() and _contours(plain.view(np.uint8)) > MOST_CONTOURS:
        size = 2 * size + 1
        plain = cv2.blur(mask.astype(np.float32), (size, size)) >= min(0.5, float(mask.mean()))
    return plain if plain.any() else np.ones_like(mask)


def _contours(mask: NDArray[np.uint8]) -> int:
    """How many parts and holes it has, roughly."""
    return sum(cv2.connectedComponents(values, connectivity=4)[0] for values in (mask, 1 - mask))


def _parts(mask: BoolMask, least_area: float) -> list[list[Ring]]:
    """Each connected part's outline followed by those of its holes, the largest part first; whole pixels' edges."""
    # Corners and middles of edges of the pixels are points of a grid twice as fine, in which OpenCV's outlines, which
    # run through the middles of outer pixels, are those along the edges of ours.
    fine = np.zeros((2 * mask.shape[0] + 1, 2 * mask.shape[1] + 1), np.uint8)
    fine[1::2, 1::2] = mask
    edged = cv2.dilate(fine, np.ones((3, 3), np.uint8))
    contours, tree = cv2.findContours(edged, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    areas = [cv2.contourArea(contour) / 4 for contour in contours]
    rings = [contour[:, 0].astype(np.float32) / 2 for contour in contours]
    outer = sorted((i for i in range(len(rings)) if tree[0, i, 3] < 0), key=lambda i: -areas[i])
    kept = [i for i in outer if areas[i] >= least_area] or outer[:1]
    holes = {i: [k for k in range(len(rings)) if tree[0, k, 3] == i and areas[k] >= least_area] for i in kept}
    return [[np.asarray(rings[k], np.float64) for k in (i, *holes[i])] for i in kept]


def _simplified(ring: Ring, tolerance_px: float) -> Ring:
    points = cv2.approxPolyDP(ring.astype(np.float32), tolerance_px, closed=True)[:, 0]
    return np.asarray(points if len(points) >= 3 else ring, np.float64)


def _joined(rings: Sequence[Ring]) -> Ring:
    """One ring of several, each joined to those before it where they are nearest to each other."""
    whole = rings[0]
    for ring in rings[1:]:
        far = np.abs(whole[:, None] - ring[None]).sum(axis=-1)
        i, k = np.unravel_index(int(far.argmin()), far.shape)
        whole = np.concatenate([whole[: i + 1], ring[k:], ring[: k + 1], whole[i:]])
    return whole
