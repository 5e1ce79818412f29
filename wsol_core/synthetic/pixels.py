"""Pixel types and the painting steps that all files of this room share."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatImage = NDArray[np.float32]  # (H, W), or (H, W, 3) RGB
RgbImage = NDArray[np.uint8]  # (H, W, 3)
Points = NDArray[np.float64]  # (K, 2) xy in pixels
Colour = tuple[int, int, int]  # RGB, 0..255

SUBPIXEL_BITS = 4  # OpenCV takes points in 1 / 2**bits pixels


def as_float(values: ArrayLike) -> FloatImage:
    return np.asarray(values, np.float32)


def as_rgb(values: NDArray[Any]) -> RgbImage:
    """Values cut off at 0 and 255."""
    image: RgbImage = np.clip(values, 0, 255).astype(np.uint8)
    return image


def mix(first: ArrayLike, second: ArrayLike, share: FloatImage) -> FloatImage:
    """(H, W, 3) from `first` where `share` (H, W) is 0 to `second` where it is 1."""
    start = as_float(first)
    return as_float(start + (as_float(second) - start) * share[..., None])


def blur(image: NDArray[Any], sigma_px: float) -> FloatImage:
    return as_float(cv2.GaussianBlur(as_float(image), (0, 0), sigma_px))


def slopes(height: FloatImage) -> tuple[FloatImage, FloatImage]:
    """How steep the surface `height` (H, W) rises along x and along y."""
    return as_float(cv2.Sobel(height, cv2.CV_32F, 1, 0)), as_float(cv2.Sobel(height, cv2.CV_32F, 0, 1))


def subpixel(points: Points) -> NDArray[np.int32]:
    """The points in OpenCV's fixed-point form."""
    fixed: NDArray[np.int32] = (points * 2**SUBPIXEL_BITS).astype(np.int32)
    return fixed


def fill(image: NDArray[np.uint8], points: Points, colour: Colour | int) -> None:
    """Paint a polygon with soft edges."""
    cv2.fillPoly(image, [subpixel(points)], colour, cv2.LINE_AA, SUBPIXEL_BITS)


def outline(image: NDArray[np.uint8], points: Points, colour: Colour | int, width_px: int, closed: bool = True) -> None:
    """Paint a polygon's edge, or with `closed` off an open line."""
    cv2.polylines(image, [subpixel(points)], closed, colour, width_px, cv2.LINE_AA, SUBPIXEL_BITS)


def spin(turn: float) -> NDArray[np.float64]:
    """The matrix that turns row vectors by `turn` radians: `points @ spin(turn)`."""
    return np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
