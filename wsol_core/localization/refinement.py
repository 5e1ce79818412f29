"""A method's map as everything reads it, snapped to the edges of its image. Arrays in, arrays out; torch-free."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.ops.grabcut import graph_cut
from wsol_core.ops.maps import min_max, resize
from wsol_core.records import FloatMap

# docs/methods.md says how each number was chosen; `python -m benchmarks.ablation` lists what it can measure.
SIDE_PX = 224  # maps are refined, measured and saved at this side
CUT_SIDE_PX = 112  # half of it: a quarter of the time, and edges as fine as the maps themselves
OUTLINE_SHARE = 0.5  # of the cut in the refined map


def final_maps(
    raw: NDArray[np.float32], image: NDArray[np.uint8] | None, cuts: NDArray[np.float32] | None = None
) -> list[FloatMap]:
    """`final_map` of each of an image's maps (A, h, w). Args: cuts: (A, 112, 112) of them, where there are any."""
    known = [None] * len(raw) if cuts is None else cuts
    return [final_map(values, image, cut) for values, cut in zip(raw, known, strict=True)]


def final_map(
    raw: NDArray[np.float32], image: NDArray[np.uint8] | None, cut: NDArray[np.float32] | None = None
) -> FloatMap:
    """A method's map (h, w) as everything reads it: 224 x 224, refined if the image is given, min-max normalised.

    Args: image: the resized image, (224, 224, 3) RGB, or None for no refinement. cut: as in `refine_edges`.
    """
    full = min_max(resize(raw, (SIDE_PX, SIDE_PX), cv2.INTER_CUBIC))
    return full if image is None else min_max(refine_edges(full, image, cut))


def refine_edges(
    activation_map: FloatMap, image: NDArray[np.uint8], cut: NDArray[np.float32] | None = None
) -> FloatMap:
    """The mean of the map and its graph cut: the cut gives the outline, the map the order of pixels on either side.

    Measured against a guided filter (He, Sun and Tang, TPAMI 2013), it is slower and finds far more boxes at IoU 0.7.

    Args: activation_map: (h, w) in [0, 1]. image: (h, w, 3) RGB. cut: (112, 112), the map's graph cut, where a GPU has
        made it; see inference.py.
    """
    h, w = activation_map.shape
    side = (CUT_SIDE_PX, CUT_SIDE_PX)
    if cut is None:
        cut = graph_cut(resize(image, side, cv2.INTER_AREA), resize(activation_map, side, cv2.INTER_AREA))
    outline = resize(cut, (w, h), cv2.INTER_LINEAR)
    return np.asarray((1 - OUTLINE_SHARE) * activation_map + OUTLINE_SHARE * outline, np.float32)
