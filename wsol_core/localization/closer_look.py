"""Small objects are looked at again from closer up: a window around what was found passes the network once more.

An object of a hundredth of an image is a few cells of a map, and its halo becomes its box; seen alone it gets the box
that it has. From too close a part of an object passes for all of it, so that of all looks the one counts whose outline
stands out most: colours differ at an object's outline, but not at its halo's. Arrays in, Regions out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.data.images import RgbPixels
from wsol_core.localization.window import Window
from wsol_core.ops.maps import resize
from wsol_core.records import Region

# What the network finds in each of several crops, of a class each: the most certain region, or None.
Look = Callable[[Sequence[RgbPixels], Sequence[str]], Sequence[Region | None]]

LOOKS = 2  # a third one loses more objects than it finds
CLOSE, AROUND = 1.2, 1.6  # times a box's longer side: what is looked at, and what an outline is compared with
LEAST_PX = 48  # of a window's sides: fewer pixels show nothing new
OUTLINE_SIDE_PX = 96  # of the window in which an outline is measured
BLUR_PX, BAND_PX = 1.5, 4
EVEN = 5.0  # of 255: colours that deviate by less are noise


def closer_looks(pixels: RgbPixels, regions: Sequence[Region], look: Look) -> list[list[Region]]:
    """Of each region of the image: itself, and what up to two looks find, each of what the look before it found."""
    seen = [[region] for region in regions]
    going_on = seen
    for _ in range(LOOKS):
        windows = [_square_around(looks[-1], pixels, CLOSE) for looks in going_on]
        found = look([window.crop(pixels) for window in windows], [looks[0].label for looks in going_on])
        for looks, window, region in zip(going_on, windows, found, strict=True):
            if region is not None:
                judged_as = looks[0]
                looks.append(replace(window.place(region), score=judged_as.score, keep=judged_as.keep))
        going_on = [looks for looks, region in zip(going_on, found, strict=True) if region is not None]
    return seen


def clearest(pixels: RgbPixels, looks: Sequence[Region]) -> Region:
    """The one of the regions whose outline stands out most."""
    return max(looks, key=lambda region: outline_contrast(pixels, region))


def outline_contrast(pixels: RgbPixels, region: Region) -> float:
    """How far the mean colours on both sides of a region's outline lie apart, in deviations of the colours around it.

    0 where a side is empty.
    """
    window = _square_around(region, pixels, AROUND)
    side = (OUTLINE_SIDE_PX, OUTLINE_SIDE_PX)
    colours = resize(window.crop(pixels).astype(np.float32), side, cv2.INTER_AREA)
    colours = np.asarray(cv2.GaussianBlur(colours, (0, 0), BLUR_PX), np.float32)
    inside = region.mask[window.y0 : window.y1, window.x0 : window.x1].astype(np.float32)
    mask = (resize(inside, side, cv2.INTER_AREA) > 0.5).view(np.uint8)
    reach = np.ones((2 * BAND_PX + 1, 2 * BAND_PX + 1), np.uint8)
    inner = (mask > cv2.erode(mask, reach, borderValue=1)).view(np.uint8)
    outer = (cv2.dilate(mask, reach, borderValue=0) > mask).view(np.uint8)
    if not inner.any() or not outer.any():
        return 0.0
    apart = np.subtract(cv2.mean(colours, inner), cv2.mean(colours, outer))
    deviation = float(colours.reshape(-1, 3).std(0).mean())
    return float(np.linalg.norm(apart)) / (deviation + EVEN)


def _square_around(region: Region, pixels: NDArray[np.uint8], times: float) -> Window:
    """A square window, moved inside the image, of `times` the longer side of the region's box."""
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = region.box_xyxy
    side = round(min(max(times * (x1 - x0), times * (y1 - y0), LEAST_PX), width, height))
    left = int(np.clip((x0 + x1 - side) / 2, 0, width - side))
    top = int(np.clip((y0 + y1 - side) / 2, 0, height - side))
    return Window(left, top, left + side, top + side, (width, height))
