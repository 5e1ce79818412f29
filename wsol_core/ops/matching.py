"""Predicted objects matched one to one with true ones: greedy by intersection over union, the largest first.

Arrays and records in, pairs of indices out; torch-free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsol_core.ops.boxes import box_iou
from wsol_core.records import BoxXyxy, CorrectedRegion, Region

LOOSE_IOU = 0.5  # from which a box is on the right object
TIGHT_IOU = 0.8  # from which a person leaves a box as it is


class Match(NamedTuple):
    """A pair: the index of the predicted object, that of the true one, and their IoU."""

    found: int
    true: int
    iou: float


def match(ious: NDArray[np.float64], least: float = 0.0) -> list[Match]:
    """Pairs rows (predicted) and columns (true) of a table of IoUs, the largest first, each of them once at most.

    Of equal IoUs the first row comes first, then the first column.

    Args: ious: (K, G) in [0, 1], of boxes or of masks. least: the smallest IoU of a pair; 0 is none at all.

    Example:
        >>> match(np.array([[0.9, 0.6], [0.8, 0.0]]), least=0.5)
        [Match(found=0, true=0, iou=0.9)]
    """
    free = np.array(ious, np.float64)
    pairs: list[Match] = []
    while free.size and (best := float(free.max())) > 0 and best >= least:
        row, column = (int(index) for index in np.unravel_index(int(free.argmax()), free.shape))
        pairs.append(Match(row, column, best))
        free[row], free[:, column] = 0, 0
    return pairs


def match_boxes(found: Sequence[BoxXyxy], true: Sequence[BoxXyxy], least: float = 0.0) -> list[Match]:
    """Pairs boxes (x0, y0, x1, y1), x1 and y1 exclusive, whatever their classes; see `match`.

    Example:
        >>> match_boxes([(0, 0, 10, 5)], [(50, 50, 60, 60), (0, 0, 10, 10)])
        [Match(found=0, true=1, iou=0.5)]
    """
    return match(_ious(found, true), least)


def match_regions(found: Sequence[Region], truth: Sequence[CorrectedRegion], least: float = 0.0) -> list[Match]:
    """Pairs the boxes of regions of the same class; see `match`.

    Example:
        >>> [(found[pair.found].score, pair.iou) for pair in match_regions(found, sample.truth, least=0.5)]
        [(0.93, 0.81), (0.7, 0.64)]
    """
    ious = _ious([region.box_xyxy for region in found], [region.box_xyxy for region in truth])
    same = [[region.label == other.label for other in truth] for region in found]
    return match(np.where(np.array(same, np.bool_).reshape(ious.shape), ious, 0.0), least)


def count_edits(pairs: Sequence[Match], found: int, true: int) -> int:
    """How many boxes a person draws, adjusts or deletes: unmatched ones of either side, and loose pairs.

    Args: pairs: of `found` predicted and `true` objects, which the caller has matched from the IoU of its rule on.

    Example:
        >>> count_edits([Match(found=0, true=0, iou=0.9), Match(found=1, true=1, iou=0.6)], found=3, true=2)
        2
    """
    return found + true - 2 * len(pairs) + sum(pair.iou < TIGHT_IOU for pair in pairs)


def _ious(found: Sequence[BoxXyxy], true: Sequence[BoxXyxy]) -> NDArray[np.float64]:
    """(K, G); either may be empty."""
    boxes, others = (np.array(each, np.float64).reshape(-1, 4) for each in (found, true))
    return box_iou(boxes, others, inclusive=False)
