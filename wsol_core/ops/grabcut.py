"""Snap soft activation maps to the edges of their images with GrabCut. Arrays in, arrays out; no torch here."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.records import BoolMask, FloatMap

CERTAIN_FOREGROUND, CERTAIN_BACKGROUND = 0.95, 0.1
LEAST_AGREEMENT = 0.5  # IoU of a cut and the map's upper half; one that differs more followed colours off the object
MIN_PIXELS = 9  # GrabCut fits mixtures of five colours; fewer pixels of a kind say nothing


def graph_cut(image: NDArray[np.uint8], activation_map: FloatMap, iterations: int = 1) -> FloatMap:
    """The object's mask that fits both the map and the image's colours and edges.

    GrabCut (Rother et al., SIGGRAPH 2004): colour mixtures of both sides, started from the map's halves, and a cut
    that prefers edges of the image. The surest pixels of the map keep their side.

    Args: image: (h, w, 3) RGB. activation_map: (h, w) in [0, 1].
    Returns: (h, w) of 0 and 1; the map itself where it is nearly empty or nearly full, so that nothing can be cut, and
        where the cut would be another object than the map's.
    """
    upper = activation_map > 0.5
    sides = np.where(upper, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    sides[activation_map > CERTAIN_FOREGROUND] = cv2.GC_FGD
    sides[activation_map < CERTAIN_BACKGROUND] = cv2.GC_BGD
    foreground = int(np.count_nonzero(sides & 1))
    if not MIN_PIXELS <= foreground <= sides.size - MIN_PIXELS:
        return activation_map
    cut = cut_sides(image, sides, iterations)
    if np.count_nonzero(cut & upper) < LEAST_AGREEMENT * np.count_nonzero(cut | upper):
        return activation_map
    return cut.astype(np.float32)


def cut_sides(image: NDArray[np.uint8], sides: NDArray[np.uint8], iterations: int = 1) -> BoolMask:
    """The foreground (h, w) by GrabCut, started from `sides` (h, w) of OpenCV's four kinds, which are written to."""
    cv2.setRNGSeed(0)  # its k-means draws from a generator of this thread; the same image gets the same mask
    unused_box, models = (0, 0, 1, 1), (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.grabCut(image, sides, unused_box, *models, iterations, cv2.GC_INIT_WITH_MASK)
    return np.asarray(sides & 1, np.bool_)


def graph_cuts(images: Sequence[NDArray[np.uint8]], maps: Sequence[FloatMap], pool: Executor) -> list[FloatMap]:
    """`graph_cut` of many images side by side; OpenCV lets go of the interpreter while it works."""
    return list(pool.map(graph_cut, images, maps))
