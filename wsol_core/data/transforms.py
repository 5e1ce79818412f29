"""One random view of a resized image: crop, zoom, mirror and mild colour jitter, for pixels, masks and boxes alike.

Arrays in, arrays out; torch-free. Which view an image gets is decided by the caller's random generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

GREY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How strongly the views of training images vary.

    The margin, the plain crop and the mirroring are those of BAS's and ORNet's code; the jitter is ours.

    Args:
        margin_px: images are resized to so many pixels more than the crop's side.
        zoom: (least, largest) enlargement of the crop, 1.0 is a plain crop; never shows more than the whole image.
        mirror: probability of a mirrored view.
        jitter: brightness, contrast and saturation are multiplied by a number in [1 - jitter, 1 + jitter] each.

    Example:
        >>> augmentation = Augmentation(zoom=(0.875, 1.15))  # a class attribute of a method
    """

    margin_px: int = 32
    zoom: tuple[float, float] = (1.0, 1.0)
    mirror: float = 0.5
    jitter: float = 0.2


@dataclass(frozen=True, slots=True)
class View:
    """The part [x, x + extent) x [y, y + extent) of a resized image, in its pixels, shown on side_px x side_px.

    `colour` is (3, 4): RGB -> RGB.
    """

    x: float
    y: float
    extent: float
    side_px: int
    mirrored: bool
    colour: NDArray[np.float32] | None = None

    def of_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The view of RGB pixels (Q, Q, 3), as (side_px, side_px, 3)."""
        seen = self._cut(pixels)
        return seen if self.colour is None else np.asarray(cv2.transform(seen, self.colour), np.uint8)

    def of_mask(self, mask: NDArray[np.uint8], cells: int) -> NDArray[np.float32]:
        """The view of a mask (Q, Q) of 0 to 255, averaged over cells: (cells, cells) in [0, 1]."""
        seen = cv2.resize(self._cut(mask), (cells, cells), interpolation=cv2.INTER_AREA)
        return np.asarray(seen * np.float32(1 / 255), np.float32)

    def of_boxes(self, boxes: NDArray[np.float32], resized_px: int, cells: int) -> NDArray[np.float32]:
        """The union of boxes (K, 4) xyxy in shares of the image, as the covered share of (cells, cells)."""
        corners = boxes * resized_px
        spans = []
        for start, low, high in ((self.x, corners[:, 0], corners[:, 2]), (self.y, corners[:, 1], corners[:, 3])):
            scale = cells / self.extent
            spans.append(_coverage((low - start) * scale, (high - start) * scale, cells))
        covered = np.einsum("ky,kx->kyx", spans[1], spans[0]).max(axis=0, initial=0.0)
        return np.asarray(covered[:, ::-1] if self.mirrored else covered, np.float32)

    def of_box(self, box: NDArray[np.float32], resized_px: int) -> tuple[NDArray[np.float32], float]:
        """A box (4,) xyxy in shares of the image, as shares of the view, and the share of its area that is in it."""
        corners = (box * resized_px - np.array([self.x, self.y, self.x, self.y], np.float32)) / self.extent
        if self.mirrored:
            corners[[0, 2]] = 1 - corners[[2, 0]]
        seen = corners.clip(0, 1)
        area, whole = (max(0.0, float((b[2] - b[0]) * (b[3] - b[1]))) for b in (seen, corners))
        return np.asarray(seen, np.float32), area / whole if whole else 0.0

    def _cut(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        side = self.side_px
        if self.extent == side:
            x, y = int(self.x), int(self.y)
            seen = pixels[y : y + side, x : x + side]
            return np.ascontiguousarray(seen[:, ::-1] if self.mirrored else seen)
        step = self.extent / side
        # Of the centre of target pixel i: start + (i + 0.5) * step - 0.5, from the other end where mirrored.
        across = (
            [-step, 0, self.x + self.extent - step / 2 - 0.5] if self.mirrored else [step, 0, self.x + step / 2 - 0.5]
        )
        turn = np.array([across, [0, step, self.y + step / 2 - 0.5]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(pixels, turn, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped, np.uint8)


def draw_view(rng: Generator, pixels: NDArray[np.uint8], side_px: int, how: Augmentation) -> View:
    """A random view of resized pixels (Q, Q, 3)."""
    extent = float(side_px)
    if how.zoom != (1.0, 1.0):
        low, high = np.log(how.zoom)
        extent = min(side_px / float(np.exp(rng.uniform(low, high))), float(len(pixels)))
    room = len(pixels) - extent
    # A plain crop keeps to whole pixels, so that nothing is interpolated.
    plain = extent == side_px
    x, y = (float(rng.integers(0, int(room) + 1)) if plain else float(rng.uniform(0, room)) for _ in "xy")
    mirrored = bool(rng.random() < how.mirror)
    return View(x, y, extent, side_px, mirrored, _jitter(rng, pixels, how.jitter) if how.jitter else None)


def _jitter(rng: Generator, pixels: NDArray[np.uint8], strength: float) -> NDArray[np.float32]:
    """Saturation, contrast and brightness are linear in the pixels, so one matrix (3, 4) does all three in one pass:

    saturation s: s x + (1 - s) grey(x); contrast c: c x + (1 - c) mean grey; brightness b: b x.
    """
    saturation, contrast, brightness = rng.uniform(1 - strength, 1 + strength, 3)
    mean_grey = float(np.dot(np.asarray(cv2.mean(pixels))[:3], GREY_WEIGHTS))
    rgb = saturation * np.eye(3) + (1 - saturation) * np.tile(GREY_WEIGHTS, (3, 1))
    shift = np.full((3, 1), (1 - contrast) * mean_grey)
    return np.asarray(brightness * np.concatenate([contrast * rgb, shift], axis=1), np.float32)


def _coverage(low: NDArray[np.float32], high: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """(K, cells): the share of each unit cell between low (K,) and high (K,)."""
    edges = np.arange(cells, dtype=np.float32)
    inside = np.minimum(edges + 1, high[:, None]) - np.maximum(edges, low[:, None])
    return np.asarray(inside.clip(0, 1), np.float32)
