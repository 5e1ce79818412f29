"""How far a region's outline stands out: colours differ on both sides of an object's edge, but not of its halo's.

Arrays and Regions in, numbers out; torch-free.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.data.images import RgbPixels
from wsol_core.localization.window import Window
from wsol_core.ops.maps import resize
from wsol_core.records import BoxXyxy, Region

AROUND = 1.6  # times a box's longer side: what an outline is compared with
LEAST_PX = 48  # of a window's sides: fewer pixels show nothing
SIDE_PX = 96  # of the window in which an outline is measured
BLUR_PX, BAND_PX = 1.5, 4
EVEN = 5.0  # of 255: colours that deviate by less are noise


def with_contrast(region: Region, pixels: RgbPixels) -> Region:
    """The region with the contrast of its outline. Args: pixels: the whole image, of any size."""
    return replace(region, contrast=outline_contrast(pixels, region))


def outline_contrast(pixels: RgbPixels, region: Region) -> float:
    """How far the mean colours on both sides of a region's outline lie apart, in deviations of the colours around it.

    0 where a side is empty. Args: pixels: the whole image, of the region's size or of another one.
    """
    across, down = (here / there for here, there in zip(pixels.shape[1::-1], region.mask.shape[::-1], strict=True))
    x0, y0, x1, y1 = region.box_xyxy
    window = square_around((x0 * across, y0 * down, x1 * across, y1 * down), pixels, AROUND)
    side = (SIDE_PX, SIDE_PX)
    colours = resize(window.crop(pixels).astype(np.float32), side, cv2.INTER_AREA)
    colours = np.asarray(cv2.GaussianBlur(colours, (0, 0), BLUR_PX), np.float32)
    rows, columns = _in_mask(window.y0, window.y1, down), _in_mask(window.x0, window.x1, across)
    mask = resize(np.ascontiguousarray(region.mask[rows, columns]).view(np.uint8), side, cv2.INTER_AREA)
    reach = np.ones((2 * BAND_PX + 1, 2 * BAND_PX + 1), np.uint8)
    inner = (mask > cv2.erode(mask, reach, borderValue=1)).view(np.uint8)
    outer = (cv2.dilate(mask, reach, borderValue=0) > mask).view(np.uint8)
    if not inner.any() or not outer.any():
        return 0.0
    apart = np.subtract(cv2.mean(colours, inner), cv2.mean(colours, outer))
    deviation = float(colours.reshape(-1, 3).std(0).mean())
    return float(np.linalg.norm(apart)) / (deviation + EVEN)


def square_around(box: BoxXyxy, pixels: NDArray[np.uint8], times: float) -> Window:
    """A square window, moved inside the image, of `times` the longer side of a box, and of 48 px at least."""
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = box
    side = round(min(max(times * (x1 - x0), times * (y1 - y0), LEAST_PX), width, height))
    left = int(np.clip((x0 + x1 - side) / 2, 0, width - side))
    top = int(np.clip((y0 + y1 - side) / 2, 0, height - side))
    return Window(left, top, left + side, top + side, (width, height))


def _in_mask(start: int, end: int, scale: float) -> slice:
    """What lies between two places of the image, in pixels of a mask that the image is `scale` times as large as."""
    first = round(start / scale)
    return slice(first, max(round(end / scale), first + 1))
