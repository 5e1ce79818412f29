"""What a person says of single places of an image: clicks on the object and beside it, and the outline it lies in."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.data.images import RgbPixels
from wsol_core.localization.regions import region_of_mask
from wsol_core.localization.window import Window
from wsol_core.ops.masks import bounds, window_of
from wsol_core.records import BoolMask, Region

PointXy = tuple[float, float]
RADIUS = 0.01  # of a click's disc, as a share of the longer side of what it is drawn on
SMOOTH = 0.03  # of the mask's longer side: finer texture is no border between objects
OBJECT, BESIDE = 2, 3  # markers of the watershed; 1 is what the mask left out


@dataclass(frozen=True, slots=True)
class Hints:
    """Points in pixels of the upright image; those outside of it say nothing.

    Attributes:
        inside: On the object.
        outside: On what is not the object, and is to be taken away where it was taken for it.
        outline: Corners of a polygon that the object lies in, such as a turned box; empty where there is none.

    Example:
        >>> hints = Hints(inside=((120, 95),), outside=((300, 80),))
    """

    inside: tuple[PointXy, ...] = ()
    outside: tuple[PointXy, ...] = ()
    outline: tuple[PointXy, ...] = ()

    def within(self, image_wh: tuple[int, int]) -> Hints:
        """Return the hints without clicks outside of an image of that size."""

        def kept(points: tuple[PointXy, ...]) -> tuple[PointXy, ...]:
            return tuple((x, y) for x, y in points if 0 <= x < image_wh[0] and 0 <= y < image_wh[1])

        return Hints(kept(self.inside), kept(self.outside), self.outline)

    def drawn(self, window: Window, size_wh: tuple[int, int]) -> NDArray[np.int8]:
        """Return the hints as seen in a window that was scaled to `size_wh`: (h, w), 1 object, -1 not, 0 unsaid."""
        width, height = size_wh
        across, down = width / window.size_wh[0], height / window.size_wh[1]
        said = np.zeros((height, width), np.int8)

        def place(point: PointXy) -> tuple[int, int]:
            return int((point[0] - window.x0) * across), int((point[1] - window.y0) * down)

        if self.outline:
            inside = np.zeros((height, width), np.uint8)
            cv2.fillPoly(inside, [np.array([place(point) for point in self.outline], np.int32)], 1)
            said[inside == 0] = -1
        radius = max(1, round(RADIUS * max(size_wh)))
        for points, value in ((self.outside, -1), (self.inside, 1)):
            for point in points:
                cv2.circle(said, place(point), radius, value, cv2.FILLED)
        return said

    def applied_to(self, region: Region, pixels: RgbPixels) -> Region | None:
        """Return the region without what the hints exclude; None where nothing is left of it.

        Args: region: of the whole image. pixels: (H, W, 3), the image.
        """
        mask = region.mask
        whole = Window(0, 0, mask.shape[1], mask.shape[0], (mask.shape[1], mask.shape[0]))
        said = self.drawn(whole, whole.size_wh)
        if self.outside and mask.any():
            mask = _split_off(pixels, mask, said, self.outside)
        mask = (mask & (said >= 0)) | (said > 0)
        if not mask.any():
            return None
        return region_of_mask(mask, region.label, region.score)


NO_HINTS = Hints()


def _split_off(pixels: RgbPixels, mask: BoolMask, said: NDArray[np.int8], outside: tuple[PointXy, ...]) -> BoolMask:
    """Return the mask without what belongs to the clicks beside the object, by the watershed of the image's edges.

    Each pixel of the mask goes to the seed that floods it first (Meyer, 1992; OpenCV's): the clicks on the object, or
    where there are none the mask's inmost place away from the others; and the clicks beside it.
    """
    window = window_of(bounds(mask))
    inner, hints = mask[window], said[window]
    if not (inner & (hints < 0)).any():
        return mask
    # The frame of an image is nobody's in OpenCV's watershed, so it gets one; what is not in the mask gets colours
    # that differ from those in it by more than any two in it do, so that floods cross its border last.
    smooth = cv2.medianBlur(np.ascontiguousarray(pixels[window]), 2 * round(SMOOTH * max(inner.shape) / 2) + 1)
    image = cv2.copyMakeBorder(smooth // 2 + 128, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    padded = cv2.copyMakeBorder(inner.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0).astype(bool)
    marks = cv2.copyMakeBorder(hints, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    image[~padded] = 0
    markers = np.where(padded, 0, 1).astype(np.int32)
    markers[padded & (marks < 0)] = BESIDE
    if (marks > 0).any():
        markers[marks > 0] = OBJECT
    else:
        top, left = window[0].start, window[1].start
        markers[_inmost(padded, [(x - left + 1, y - top + 1) for x, y in outside])] = OBJECT
    cv2.watershed(np.ascontiguousarray(image), markers)
    kept = mask.copy()
    kept[window] = (inner & (markers[1:-1, 1:-1] != BESIDE)) | (hints > 0)
    return kept


def _inmost(mask: BoolMask, away_from: list[PointXy]) -> tuple[int, int]:
    """Return the row and column that is deep in the mask and far from some points."""
    depth = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 3)
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    for x, y in away_from:
        depth = depth * np.hypot(columns - x, rows - y)
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(row), int(column)
