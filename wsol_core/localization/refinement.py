"""A method's map as everything reads it, snapped to the edges of its image. Arrays in, arrays out; torch-free."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.ops.grabcut import graph_cut
from wsol_core.records import FloatMap

SIDE_PX = 224  # maps are refined, measured and saved at this side
CUT_SIDE_PX = 112  # half of it: a quarter of the time, and edges as fine as the maps themselves
OUTLINE_SHARE = 0.5  # of the cut in the refined map


def final_map(raw: NDArray[np.float32], image: NDArray[np.uint8] | None) -> FloatMap:
    """A method's map (h, w) as everything reads it: 224 x 224, refined if the image is given, min-max normalised.

    Args: image: the resized image, (224, 224, 3) RGB, or None for no refinement.
    """
    full = min_max(np.asarray(cv2.resize(raw, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC), np.float32))
    return full if image is None else min_max(refine_edges(full, image))


def refine_edges(activation_map: FloatMap, image: NDArray[np.uint8]) -> FloatMap:
    """The mean of the map and its graph cut: the cut gives the outline, the map the order of pixels on either side.

    Measured against a guided filter (He, Sun and Tang, TPAMI 2013), it is slower and finds far more boxes at IoU 0.7.

    Args: activation_map: (h, w) in [0, 1]. image: (h, w, 3) RGB.
    """
    h, w = activation_map.shape
    side = (CUT_SIDE_PX, CUT_SIDE_PX)
    small = np.asarray(cv2.resize(activation_map, side, interpolation=cv2.INTER_AREA), np.float32)
    cut = graph_cut(np.asarray(cv2.resize(image, side, interpolation=cv2.INTER_AREA), np.uint8), small)
    outline = np.asarray(cv2.resize(cut, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray((1 - OUTLINE_SHARE) * activation_map + OUTLINE_SHARE * outline, np.float32)


def min_max(values: NDArray[np.float32]) -> FloatMap:
    """Stretched to [0, 1]; a constant map, or one with NaN or infinity, becomes zeros."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high) and high > low):
        return np.zeros_like(values)
    # Not by a division: rounding may put the maximum beside 1.
    stretched = (values - np.float32(low)) * np.float32(1 / (high - low))
    return np.asarray(np.minimum(stretched, 1, out=stretched), np.float32)
