"""Choose at which value of a map its mask begins, without boxes and with them, and calibrate region scores.

Every map here is final: 224 x 224 (or any size), min-max normalised. A pixel is object where map > threshold.
Torch-free. See training/calibration.py for which images are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.data.images import resize_to_square
from wsol_core.localization.worth import Calibration, logit
from wsol_core.ops.boxes import box_iou, largest_component_box
from wsol_core.ops.grabcut import graph_cut
from wsol_core.ops.maps import resize
from wsol_core.records import BoolMask, FloatMap

# docs/methods.md says how each number was chosen; `python -m benchmarks.ablation` lists what it can measure.
BINS = 256  # of a map's histogram
GRID: NDArray[np.float32] = np.linspace(0.02, 0.98, 49, dtype=np.float32)  # thresholds that are tried
DEFAULT_THRESHOLD = 0.5  # where no map can decide
CUT_SIDE_PX = 112  # as in refinement.py
PRIOR_IMAGES = 5  # n0 of `class_thresholds`
RULE_WITHOUT_BOXES = "best mean IoU with graph cuts of the maps on training images; no boxes were used"
RULE_WITH_BOXES = "best mean IoU on corrected training images, each class drawn towards all classes' (n0 = 5)"

UNCALIBRATED = Calibration()
_LEAST_SCALE = 0.1  # of raw scores, so that their order never turns
_PRIOR_WEIGHT = 2.0  # a made-up image or two for the identity: few real ones must not make scores certain


def threshold_without_boxes(maps: Iterable[FloatMap], images: Iterable[NDArray[np.uint8]]) -> float:
    """The threshold with the best mean IoU between the maps' masks and graph cuts of the same maps.

    A graph cut moves the map's edge to the image's, so it tells on the whole, if not for each image, how far
    inside or outside of the object a value of the map lies. On five models and 120 images it came within 0.01 of
    the mean mask IoU at the best threshold; the fixed 0.5 lost 0.02 to 0.05, Otsu's threshold more.

    Args: images: (h, w, 3) RGB, each resized to its map's size. Where nothing can be cut, `otsu_of_maps` decides.
    """
    curves, kept = [], []
    for score_map, image in zip(maps, images, strict=True):
        small = resize(score_map, (CUT_SIDE_PX, CUT_SIDE_PX), cv2.INTER_AREA)
        kept.append(np.histogram(small, BINS, (0, 1))[0])
        cut = graph_cut(resize_to_square(image, CUT_SIDE_PX), small)
        if cut is not small:
            curves.append(mask_ious(small, cut > 0.5))
    return best_threshold(curves) if curves else otsu_of_maps(kept)


def otsu_of_maps(histograms: Iterable[NDArray[np.generic]]) -> float:
    """The median of Otsu's thresholds over maps' histograms (BINS,); constant maps have no vote. In (0, 1)."""
    votes = [value for counts in histograms if (value := otsu_threshold(counts)) is not None]
    return float(np.median(votes)) if votes else DEFAULT_THRESHOLD


def otsu_threshold(counts: NDArray[np.generic]) -> float | None:
    """Otsu's threshold in (0, 1) for counts (BINS,) of equal bins over [0, 1]; None where one bin holds everything.

    With w the share and m the mean of the pixels below: maximises (m_all w - m w)^2 / (w (1 - w)); halfway between
    the ends of a flat maximum, as an empty gap between two kinds has. OpenCV's THRESH_OTSU takes the lower end of such
    a gap, where the background itself lies, and answers 0 where there is only one value.
    """
    weights = np.asarray(counts, np.float64) / max(1.0, float(np.sum(counts)))
    centres = (np.arange(len(weights)) + 0.5) / len(weights)
    below, moment = np.cumsum(weights)[:-1], np.cumsum(weights * centres)[:-1]
    mean = float((weights * centres).sum())
    split = below * (1 - below)
    between = np.divide((mean * below - moment) ** 2, split, out=np.zeros_like(split), where=split > 1e-12)
    if between.max() <= 0:
        return None
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float((best[0] + best[-1]) / 2 + 1) / len(weights)


def mask_ious(score_map: FloatMap, mask: BoolMask) -> NDArray[np.float64]:
    """(49,) IoU with a true mask, at each threshold of GRID. Args: both (h, w)."""
    hits, alarms = _counts_above(score_map[mask]), _counts_above(score_map[~mask])
    return np.asarray(hits[1:] / np.maximum(hits[0] + alarms[1:], 1), np.float64)


def _counts_above(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """(50,): how many values there are, and how many above each threshold of GRID."""
    steps = np.bincount(np.searchsorted(GRID, values, side="left"), minlength=len(GRID) + 1)
    return np.concatenate([[len(values)], len(values) - np.cumsum(steps)[:-1]])


def box_ious(score_map: FloatMap, boxes_xyxy: Sequence[tuple[float, float, float, float]]) -> NDArray[np.float64]:
    """(49,) best IoU of the largest part's box with one of the true boxes, at each threshold of GRID.

    Args: boxes_xyxy: in pixels of the map, x1 and y1 exclusive; at least one.
    """
    truth = np.asarray(boxes_xyxy, np.float64)
    curve = np.zeros(len(GRID))
    for row, threshold in enumerate(GRID):
        if (box := largest_component_box(score_map > threshold)) is not None:
            curve[row] = box_iou(np.array([box]), truth, inclusive=False).max()
    return curve


def best_threshold(ious: Sequence[NDArray[np.float64]]) -> float:
    """The threshold of GRID with the best mean of the images' IoU curves; the middle one of equals."""
    mean = np.mean(ious, axis=0)
    best = np.flatnonzero(mean >= mean.max() - 1e-12)
    return float(GRID[best[len(best) // 2]])


def class_thresholds(best: Mapping[str, tuple[int, float]], overall: float) -> dict[str, float]:
    """Each class's own threshold, drawn to the overall one where few images speak for it.

    t_c = (n_c t_c + n0 t) / (n_c + n0). Args: best: class -> (number of images, best threshold on them).
    """
    return {
        label: (count * own + PRIOR_IMAGES * overall) / (count + PRIOR_IMAGES) for label, (count, own) in best.items()
    }


def fit_platt_scaling(
    scores: Sequence[float], success: Sequence[bool], before: Calibration = UNCALIBRATED
) -> Calibration:
    """Such that sigmoid(scale * logit(score) + shift) is how often regions of such uncalibrated scores are right.

    Logistic regression by Newton's method with a Gaussian prior around `before`; so few or one-sided examples move it
    little. The scale stays positive: the order of regions never turns.
    """
    x, y = np.array([logit(score) for score in scores], np.float64), np.asarray(success, np.float64)
    prior = np.array([before.scale, before.shift])
    weights = prior.copy()
    design = np.stack([x, np.ones_like(x)], axis=1)

    def cost(tried: NDArray[np.float64]) -> float:
        z = design @ tried
        return float((np.logaddexp(0, z) - y * z).sum() + _PRIOR_WEIGHT / 2 * ((tried - prior) ** 2).sum())

    for _ in range(50):
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - y) + _PRIOR_WEIGHT * (weights - prior)
        curvature = (design.T * (p * (1 - p))) @ design + _PRIOR_WEIGHT * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # Newton overshoots where the curve is flat, and may go to and fro for ever; a shorter step does not.
        while cost(weights - step) > cost(weights) and np.abs(step).max() >= 1e-9:
            step /= 2
        if np.abs(step).max() < 1e-9:
            break
        weights -= step
    if weights[0] < _LEAST_SCALE:
        return Calibration(_LEAST_SCALE, logit((float(y.sum()) + 1) / (len(y) + 2)) - _LEAST_SCALE * float(x.mean()))
    return Calibration(float(weights[0]), float(weights[1]))


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-values.clip(-500, 500))), np.float64)
