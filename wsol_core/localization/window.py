"""A rectangle of whole pixels of an image: cut it out, and place what was found in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from wsol_core.data.images import RgbPixels
from wsol_core.records import BoxXyxy, Region


@dataclass(frozen=True, slots=True)
class Window:
    """The pixels from x0 to x1 and y0 to y1, x1 and y1 exclusive, of an image of `image_wh` pixels."""

    x0: int
    y0: int
    x1: int
    y1: int
    image_wh: tuple[int, int]

    @classmethod
    def touched_by(cls, box: BoxXyxy, image_wh: tuple[int, int]) -> Window:
        """The image's pixels that a box touches."""
        (x0, y0, x1, y1), (width, height) = box, image_wh
        ends = min(math.ceil(x1), width), min(math.ceil(y1), height)
        return cls(max(math.floor(x0), 0), max(math.floor(y0), 0), *ends, image_wh)

    @property
    def size_wh(self) -> tuple[int, int]:
        """In pixels."""
        return self.x1 - self.x0, self.y1 - self.y0

    @property
    def area(self) -> int:
        """In pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def grown(self, margin: float) -> Window:
        """With `margin` of each side more on every side, as far as the image goes."""
        x, y = (margin * side for side in self.size_wh)
        return Window.touched_by((self.x0 - x, self.y0 - y, self.x1 + x, self.y1 + y), self.image_wh)

    def seen_from(self, outer: Window) -> Window:
        """The same pixels as a window of the crop that `outer` is."""
        x, y = outer.x0, outer.y0
        return Window(self.x0 - x, self.y0 - y, self.x1 - x, self.y1 - y, outer.size_wh)

    def crop(self, pixels: RgbPixels) -> RgbPixels:
        """The window's part of the image (H, W, 3)."""
        return np.ascontiguousarray(pixels[self.y0 : self.y1, self.x0 : self.x1])

    def place(self, region: Region) -> Region:
        """A region of the window's pixels as one of the image's."""
        mask = np.zeros(self.image_wh[::-1], np.bool_)
        mask[self.y0 : self.y1, self.x0 : self.x1] = region.mask
        x0, y0, x1, y1 = region.box_xyxy
        box = (x0 + self.x0, y0 + self.y0, x1 + self.x0, y1 + self.y0)
        polygon = tuple((x + self.x0, y + self.y0) for x, y in region.polygon)
        return replace(region, box_xyxy=box, polygon=polygon, mask=mask)
