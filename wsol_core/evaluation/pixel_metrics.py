"""Pixel metrics, streamed over images: PxAP and PIoU. No files, no models.

Protocol: Choe et al., CVPR 2020, arXiv:2001.07437, with 1000 bins; the authors' extension's PIoU for BAS.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsol_core.errors import DataError
from wsol_core.records import BoolMask, FloatMap

BINS = 1000


class PixelHistogram:
    """Scores of all pixels so far, on objects and off them, in BINS equal bins of [0, 1]. Memory does not grow."""

    def __init__(self) -> None:
        self._object = np.zeros(BINS, np.int64)
        self._other = np.zeros(BINS, np.int64)

    def add(self, score_map: FloatMap, truth: BoolMask, ignored: BoolMask | None = None) -> None:
        """Count a map (h, w) in [0, 1] against a mask of its size; `ignored` pixels are on neither side."""
        bins = np.minimum((score_map * BINS).astype(np.int64), BINS - 1)
        counted = np.ones_like(truth) if ignored is None else ~ignored
        self._object += np.bincount(bins[truth & counted], minlength=BINS)
        self._other += np.bincount(bins[~truth & counted], minlength=BINS)

    def px_ap(self) -> float:
        """PxAP = sum over falling thresholds of precision * the step in recall."""
        hits, alarms = self._from_above()
        precision, recall = hits / np.maximum(hits + alarms, 1), hits / hits[-1]
        return float((precision * np.diff(recall, prepend=0)).sum())

    def p_iou(self) -> float:
        """PIoU: the best pooled IoU over thresholds."""
        hits, alarms = self._from_above()
        return float((hits / (hits[-1] + alarms)).max())

    def _from_above(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        hits, alarms = self._object[::-1].cumsum(), self._other[::-1].cumsum()
        if not hits[-1]:
            raise DataError("No object pixel was measured; pixel metrics need images with masks.")
        return hits, alarms
