"""Activation maps: min-max stretching, for one array and for a batch of tensors, and resizing.

The two min-max functions stay two: prediction wants no value above 1 and zeros for broken maps, training a gradient and
the NaN of a broken step. Torch itself is not imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.records import FloatMap

if TYPE_CHECKING:
    from torch import Tensor

Number = TypeVar("Number", np.uint8, np.float32)


def min_max(values: NDArray[np.float32]) -> FloatMap:
    """Stretched to [0, 1]; a constant map, or one with NaN or infinity, becomes zeros."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high) and high > low):
        return np.zeros_like(values)
    stretched = (values - np.float32(low)) * np.float32(1 / (high - low))
    return np.asarray(np.minimum(stretched, 1, out=stretched), np.float32)  # rounding may put the maximum above 1


def min_max_tensor(maps: Tensor, least_range: float = 1e-6) -> Tensor:
    """Each map (..., h, w) stretched to [0, 1]; one whose values differ by less than `least_range` stays near 0."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return (maps - low) / (high - low).clamp(min=least_range)


def competing(maps: Tensor, image: Tensor, images: int) -> Tensor:
    """Maps of which those of one image compete: p_c = o_c / (1 + sum of the image's o), o = m / (1 - m).

    This is the softmax over the classes of an image and its background, whose logit is 0; a map alone stays as it is.

    Args: maps: (P, h, w) in [0, 1]. image: (P,) long, the number of each map's image, below `images`.
    """
    odds = maps / (1 - maps).clamp(min=1e-4)
    total = odds.new_zeros((images, *odds.shape[1:])).index_add(0, image, odds)
    return odds / (1 + total[image])


def resize(values: NDArray[Number], size_wh: tuple[int, int], interpolation: int) -> NDArray[Number]:
    """(h, w, ...) resized to `size_wh` pixels with one of OpenCV's interpolations, in its own number type."""
    return np.asarray(cv2.resize(values, size_wh, interpolation=interpolation), values.dtype)
