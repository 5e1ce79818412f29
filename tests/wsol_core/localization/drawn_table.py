"""A white square on a brown table, and regions on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsol_core.localization.regions import region_of_mask
from wsol_core.records import Region

HEIGHT, WIDTH = 400, 500
SQUARE, HALO, PART = (220, 180, 260, 220), (180, 140, 300, 260), (230, 190, 250, 210)
Box = tuple[int, int, int, int]


def a_table() -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH, 3), with noise."""
    pixels = np.full((HEIGHT, WIDTH, 3), (110, 70, 40), np.uint8)
    x0, y0, x1, y1 = SQUARE
    pixels[y0:y1, x0:x1] = 235
    noise = np.random.default_rng(0).normal(0, 8, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def a_region(box: Box, score: float = 0.3) -> Region:
    """All of a box."""
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return region_of_mask(mask, "crab", score)
