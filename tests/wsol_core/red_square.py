"""A red square on noise, and a soft map that is off by some pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def red_square_on_noise() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    image = np.random.default_rng(0).integers(80, 120, (64, 64, 3), dtype=np.uint8)
    inside = np.zeros((64, 64), bool)
    inside[20:44, 16:48] = True
    image[inside] = (210, 30, 30)
    return image, inside


def blurred_and_shifted(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    return cv2.GaussianBlur(np.roll(inside, 3, axis=1).astype(np.float32), (0, 0), 4)
