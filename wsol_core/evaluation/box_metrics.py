"""Box metrics of the WSOL evaluation protocol: box extraction, MaxBoxAcc and MaxBoxAccV2, streamed over images.

Protocol: Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020, arXiv:2001.07437.
Boxes here have both corners inclusive. No files, no models; see evaluate.py for which images are measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.errors import DataError
from wsol_core.ops.boxes import box_iou
from wsol_core.records import BoxXyxy, FloatMap

MAP_SIDE_PX = 224  # maps are measured at this side, boxes of the truth are scaled to it
IOU_LEVELS = (0.3, 0.5, 0.7)
THRESHOLDS = np.arange(0, 1, 0.001, np.float64)  # 0, 0.001, ..., 0.999

BoxArray = NDArray[np.int64]  # (K, 4) x0 y0 x1 y1
FloatArray = NDArray[np.float64]
_NO_CONTOUR: BoxArray = np.zeros((1, 4), np.int64)
MOST_RANKS = 5  # Top-1 to Top-5 Loc
_CUTS_A_BLOCK = 16  # cuts whose contours are handled by one set of array operations; bounds the memory of noisy maps


def scaled_box(box_xyxy: BoxXyxy, size_wh: tuple[int, int], side_px: int = MAP_SIDE_PX) -> tuple[int, int, int, int]:
    """A box in image pixels on the resized side_px x side_px image, each coordinate cut down by int()."""
    width, height = map(float, size_wh)
    x0, y0, x1, y1 = box_xyxy
    return (
        int(x0 * side_px / width),
        int(y0 * side_px / height),
        int(x1 * side_px / width),
        int(y1 * side_px / height),
    )


def boxes_at(score_map: FloatMap, threshold: float, every_contour: bool = False) -> BoxArray:
    """(K, 4) boxes of a map in [0, 1] at one threshold: of the contour with the largest area, or of every contour.

    The map becomes floor(255 * s) and is cut at > int(threshold * its maximum); a contour's box is its bounding
    rectangle (x, y, x + w, y + h) with the far corner clipped to the last column and row. [0, 0, 0, 0] where nothing
    is above the cut.
    """
    levels = _levels(score_map)
    cut = int(threshold * levels.max())
    contours = next(_cut_contours(levels, np.array([cut])))
    if len(contours.boxes) == 0:
        return _NO_CONTOUR.copy()
    return contours.boxes if every_contour else contours.boxes[[int(np.argmax(contours.areas))]]


@dataclass(frozen=True, slots=True)
class SweptIou:
    """Best IoU with any true box, at each of THRESHOLDS: of the largest contour's box, and over all contours' boxes."""

    largest: FloatArray
    every: FloatArray

    @classmethod
    def of(cls, score_map: FloatMap, truth: NDArray[np.generic]) -> SweptIou:
        """Swept over all thresholds; those with the same cut of the 8-bit map share one contour search.

        Args: score_map: (h, w) in [0, 1]. truth: (G, 4) boxes on the map, G >= 1, from `scaled_box`.
        """
        levels = _levels(score_map)
        cuts = (THRESHOLDS * levels.max()).astype(np.int64)
        distinct, which = np.unique(cuts, return_inverse=True)
        best: NDArray[np.float64] = np.zeros((0, 2))
        for contours in _cut_contours(levels, distinct):
            best = np.concatenate([best, contours.best_iou(truth)])
        return cls(best[which, 0], best[which, 1])


class BoxAccuracy:
    """Counts, image by image and class by class, how often a box reaches each of IOU_LEVELS at each threshold.

    BoxAcc(t, d) = mean over images of [best IoU at threshold t >= d]. Memory does not grow with the images.
    """

    def __init__(self) -> None:
        self._hits: dict[str, NDArray[np.int64]] = {}  # class -> (2 rules, levels, thresholds)
        self._images: dict[str, int] = {}
        self._ranked: list[NDArray[np.int64]] = [np.zeros(len(THRESHOLDS), np.int64) for _ in range(MOST_RANKS)]

    def add(self, label: str, swept: SweptIou, rank: int | None = None) -> None:
        """Count one image of class `label`, which is the `rank`-th most probable one (from 0), if that is known."""
        for hits_to_rank in self._ranked[rank:] if rank is not None else ():
            hits_to_rank += swept.largest >= 0.5
        levels = np.array(IOU_LEVELS)[None, :, None]
        hits = np.stack([swept.largest, swept.every])[:, None] >= levels
        self._hits[label] = self._hits.get(label, np.zeros(hits.shape, np.int64)) + hits
        self._images[label] = self._images.get(label, 0) + 1

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes with at least one image, in the order they came."""
        return tuple(self._hits)

    def curve(self, iou: float = 0.5, every_contour: bool = False, label: str | None = None) -> FloatArray:
        """(1000,) BoxAcc over THRESHOLDS, of all images or of one class; `iou` is one of IOU_LEVELS."""
        if not self._hits:
            raise DataError("No image with a true box was measured; box accuracy needs at least one.")
        counted = self.classes if label is None else (label,)
        hits = sum(self._hits[name][int(every_contour), IOU_LEVELS.index(iou)] for name in counted)
        return np.asarray(hits / sum(self._images[name] for name in counted), np.float64)

    def best_threshold(self, iou: float = 0.5, every_contour: bool = False) -> float:
        """The lowest threshold with the best BoxAcc: an oracle, since it is picked on the measured images."""
        return float(THRESHOLDS[int(np.argmax(self.curve(iou, every_contour)))])

    def max_box_acc(self) -> float:
        """MaxBoxAcc = max_t BoxAcc(t, 0.5), box of the largest contour, one threshold for all images."""
        return float(self.curve().max())

    def ranked_box_acc(self, most: int) -> float:
        """The share of images with a success at MaxBoxAcc's threshold and their class among the `most` probable."""
        index = _index_of(self.best_threshold())
        return float(self._ranked[most - 1][index] / sum(self._images.values()))

    def max_box_acc_v2(self) -> dict[float, float]:
        """max_t BoxAcc(t, d) for each d of IOU_LEVELS, boxes of all contours; MaxBoxAccV2 is the values' mean."""
        return {iou: float(self.curve(iou, every_contour=True).max()) for iou in IOU_LEVELS}

    def box_acc(self, threshold: float, iou: float = 0.5, every_contour: bool = False) -> float:
        """BoxAcc at the largest swept threshold that is not above `threshold`."""
        return float(self.curve(iou, every_contour)[_index_of(threshold)])

    def class_box_acc(self, label: str) -> float:
        """BoxAcc(t, 0.5) of one class at the threshold that is best for all classes together."""
        return float(self.curve(label=label)[_index_of(self.best_threshold())])

    def class_box_acc_v2(self, label: str) -> float:
        """Mean over IOU_LEVELS of one class's BoxAcc, each at the threshold that is best for all classes together."""
        at_best = [
            self.curve(iou, True, label)[_index_of(self.best_threshold(iou, every_contour=True))] for iou in IOU_LEVELS
        ]
        return float(np.mean(at_best))


@dataclass(frozen=True, slots=True)
class _Contours:
    """Contours of consecutive cuts: (K, 4) boxes, (K,) areas, and how many of the K belong to each cut."""

    boxes: BoxArray
    areas: FloatArray
    counts: Sequence[int]

    def best_iou(self, truth: NDArray[np.generic]) -> FloatArray:
        """(cuts, 2): IoU of the largest contour's box, and the best of all contours' boxes."""
        ious = box_iou(self.boxes, truth, inclusive=True).max(axis=1)
        best = np.full((len(self.counts), 2), box_iou(_NO_CONTOUR, truth, inclusive=True).max())
        end = 0
        for row, count in enumerate(self.counts):
            begin, end = end, end + count
            if count:
                best[row] = ious[begin + int(np.argmax(self.areas[begin:end]))], ious[begin:end].max()
        return best


def _levels(score_map: FloatMap) -> NDArray[np.uint8]:
    """floor(255 * s) of a map in [0, 1]."""
    low, high = float(np.min(score_map)), float(np.max(score_map))
    if not (low >= 0 and high <= 1):  # also False for NaN
        raise DataError(f"An activation map has values from {low} to {high}; normalise it to [0, 1] before measuring.")
    return (score_map * 255).astype(np.uint8)


def _cut_contours(levels: NDArray[np.uint8], cuts: NDArray[np.int64]) -> Iterator[_Contours]:
    """All contours, holes' too, of `levels > cut`, a block of cuts at a time."""
    for start in range(0, len(cuts), _CUTS_A_BLOCK):
        found: list[NDArray[np.int32]] = []
        counts = []
        for cut in cuts[start : start + _CUTS_A_BLOCK]:
            binary = (levels > cut).view(np.uint8)
            contours, _ = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
            found.extend(contours)
            counts.append(len(contours))
        yield _Contours(*_measure(found, levels.shape), counts)


def _measure(contours: list[NDArray[np.int32]], shape_hw: tuple[int, ...]) -> tuple[BoxArray, FloatArray]:
    """Clipped bounding boxes and polygon areas (cv2.contourArea's), for all contours at once."""
    if not contours:
        return np.zeros((0, 4), np.int64), np.zeros(0)
    lengths = np.array([len(contour) for contour in contours])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    points = np.concatenate(contours)[:, 0].astype(np.int64)
    following = np.arange(1, len(points) + 1)
    following[starts + lengths - 1] = starts  # each outline closes at its own first point
    x, y = points.T
    areas = np.abs(np.add.reduceat(x * y[following] - x[following] * y, starts)) / 2
    low = np.minimum.reduceat(points, starts)
    last = np.array([shape_hw[1] - 1, shape_hw[0] - 1])
    high = np.minimum(np.maximum.reduceat(points, starts) + 1, last)
    return np.concatenate([low, high], axis=1), areas


def _index_of(threshold: float) -> int:
    return max(0, int(np.searchsorted(THRESHOLDS, threshold, side="right")) - 1)
