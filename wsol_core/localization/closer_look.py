"""Small objects are looked at again from closer up: a window around what was found passes the network once more.

An object of a hundredth of an image is a few cells of a map, and its halo becomes its box; seen alone it gets the box
that it has. From too close a part of an object passes for all of it, so that of all looks the one counts whose outline
stands out most: colours differ at an object's outline, but not at its halo's. Arrays in, Regions out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from wsol_core.data.images import RgbPixels
from wsol_core.localization.outline_contrast import outline_contrast, square_around
from wsol_core.records import Region

# What the network finds in each of several crops, of a class each: the most certain region, or None.
Look = Callable[[Sequence[RgbPixels], Sequence[str]], Sequence[Region | None]]

LOOKS = 2  # a third one loses more objects than it finds
CLOSE = 1.2  # times a box's longer side: what is looked at


def closer_looks(pixels: RgbPixels, regions: Sequence[Region], look: Look) -> list[list[Region]]:
    """Of each region of the image: itself, and what up to two looks find, each of what the look before it found."""
    seen = [[region] for region in regions]
    going_on = seen
    for _ in range(LOOKS):
        windows = [square_around(looks[-1].box_xyxy, pixels, CLOSE) for looks in going_on]
        found = look([window.crop(pixels) for window in windows], [looks[0].label for looks in going_on])
        for looks, window, region in zip(going_on, windows, found, strict=True):
            if region is not None:
                first = looks[0]
                judged = replace(window.place(region), score=first.score, keep=first.keep, contrast=first.contrast)
                looks.append(judged)
        going_on = [looks for looks, region in zip(going_on, found, strict=True) if region is not None]
    return seen


def clearest(pixels: RgbPixels, looks: Sequence[Region]) -> Region:
    """The one of the regions whose outline stands out most."""
    return max(looks, key=lambda region: outline_contrast(pixels, region))
