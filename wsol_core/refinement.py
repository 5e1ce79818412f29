"""Refine an activation map at the edges of its picture. Arrays in, arrays out; torch-free.

Guided filter with a colour guide: He, Sun and Tang, "Guided Image Filtering", TPAMI 2013; subsampled as in He and Sun,
"Fast Guided Filter", arXiv:1505.00996. Our own implementation of the equations.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.records import FloatMap

SIDE_PX = 224  # maps are refined, measured and saved at this side
RADIUS_PX, EPSILON, SUBSAMPLING = 12, 1e-3, 4

Planes = NDArray[np.float32]


def final_map(raw: NDArray[np.float32], picture: NDArray[np.uint8] | None) -> FloatMap:
    """A method's map (h, w) as everything reads it: 224 x 224, refined if the picture is given, min-max normalised.

    Args: picture: the squashed picture, (224, 224, 3) RGB, or None for no refinement.
    """
    full = np.asarray(cv2.resize(raw, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC), np.float32)
    return min_max(full if picture is None else refine_map(full, picture))


def min_max(values: NDArray[np.float32]) -> FloatMap:
    """Stretched to [0, 1]; a constant map, or one with NaN or infinity, becomes zeros."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high) and high > low):
        return np.zeros_like(values)
    # Not by a division: rounding may put the maximum beside 1.
    stretched = (values - np.float32(low)) * np.float32(1 / (high - low))
    return np.asarray(np.minimum(stretched, 1, out=stretched), np.float32)


def refine_map(
    activation_map: FloatMap,
    picture: NDArray[np.uint8],
    radius_px: int = RADIUS_PX,
    epsilon: float = EPSILON,
    subsampling: int = SUBSAMPLING,
) -> FloatMap:
    """The map that is, in every window, the linear function of the picture's colours nearest to the given one.

    In a window of covariance S, mean colour m and map-colour covariance c: a = (S + epsilon 1)^-1 c and
    b = mean map - a m; the result is (mean of a) colour + (mean of b), so that the map's edges move to the picture's.

    Args: activation_map: (h, w) in any range, which the result keeps to but for rounding. picture: (h, w, 3) RGB.
        radius_px: windows have 2 radius_px + 1 pixels a side. epsilon: variance of colours in [0, 1] that counts as
        flat. subsampling: statistics are taken on a picture so many times smaller.
    """
    h, w = activation_map.shape
    small_wh = (max(1, round(w / subsampling)), max(1, round(h / subsampling)))
    guide = np.asarray(cv2.resize(picture, small_wh, interpolation=cv2.INTER_AREA), np.float32) * np.float32(1 / 255)
    target = np.asarray(cv2.resize(activation_map, small_wh, interpolation=cv2.INTER_AREA), np.float32)
    model = _window_model(guide, target, max(1, round(radius_px / subsampling)), epsilon)
    model = np.asarray(cv2.resize(model, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    # A fourth colour of 255 takes b along: one pass over the pixels instead of five.
    colours = cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA).astype(np.float32)
    refined = np.einsum("hwc,hwc->hw", model, colours) * np.float32(1 / 255)
    return np.asarray(refined.clip(activation_map.min(), activation_map.max()), np.float32)


def _window_model(guide: Planes, target: Planes, radius: int, epsilon: float) -> Planes:
    """(h, w, 4): a in three planes and b, averaged over the windows that a pixel lies in."""
    r, g, b = cv2.split(guide)
    products = [r * r, r * g, r * b, g * g, g * b, b * b, r * target, g * target, b * target]
    means = _box_mean(np.dstack([r, g, b, target, *products]), radius)
    mr, mg, mb, mt, rr, rg, rb, gg, gb, bb, rt, gt, bt = (means[..., plane] for plane in range(13))
    a = _solve_symmetric(
        (
            rr - mr * mr + epsilon,
            rg - mr * mg,
            rb - mr * mb,
            gg - mg * mg + epsilon,
            gb - mg * mb,
            bb - mb * mb + epsilon,
        ),
        (rt - mr * mt, gt - mg * mt, bt - mb * mt),
    )
    offset = mt - a[0] * mr - a[1] * mg - a[2] * mb
    return _box_mean(np.dstack([*a, offset]), radius)


def _box_mean(planes: Planes, radius: int) -> Planes:
    side = 2 * radius + 1
    return np.asarray(cv2.boxFilter(planes, -1, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _solve_symmetric(s: tuple[Any, Any, Any, Any, Any, Any], c: tuple[Any, Any, Any]) -> tuple[Planes, Planes, Planes]:
    """x of S x = c, by Cramer's rule, for planes of 3 x 3 matrices S given as (rr, rg, rb, gg, gb, bb)."""
    rr, rg, rb, gg, gb, bb = s
    i_rr, i_rg, i_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    i_gg, i_gb, i_bb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    scale = 1 / (rr * i_rr + rg * i_rg + rb * i_rb)
    x, y, z = c
    return (
        (i_rr * x + i_rg * y + i_rb * z) * scale,
        (i_rg * x + i_gg * y + i_gb * z) * scale,
        (i_rb * x + i_gb * y + i_bb * z) * scale,
    )
