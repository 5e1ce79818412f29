"""Which parts of maps are several objects that melted into one: what the instance head says of them while it learns.

Composites teach the head what one object is before it has learned the batch's wrong parts by heart: places of two
neighbours predict two boxes, none of them the part's. So parts that the head disagrees with are left out, as labels
are in Co-teaching (Han et al., NeurIPS 2018). How many: a large object looks like several, too, but not from further
away; where the second look does not agree either, a part is doubted, and projects with few doubts keep all parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsol_core.data.composites import PlacedObject
from wsol_core.methods.instance_losses import cell_covers
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.masks import bounds

LOOKS = (0.25, 0.4)  # of the stage: when doubts are counted; later the head knows wrong parts by heart
LEARNED = 50  # steps of the head before: one that has learned less doubts what is one object
FURTHER = 0.75  # of the image's side: the second look
DOUBT = 0.8  # of the batch's upper quartile of agreement: a part with less at both looks is doubted
NO_DOUBTS = 0.27  # of the parts are doubted where hardly any are melted
OUT_PER_DOUBT, MOST_OUT = 8.0, 0.6  # share of the parts that each share of further doubts leaves out, and the most


def agreements(boxes: NDArray[np.float32], images: Sequence[int], parts: Sequence[PlacedObject]) -> NDArray[np.float64]:
    """(P,) in [0, 1]: the mean IoU of a part's box and the boxes that the head predicts at its places.

    Args: boxes: (B, 4, h, h) xyxy in shares of the image. images: of each part.
    """
    found = []
    for image, part in zip(images, parts, strict=True):
        cover = cell_covers(part.mask, boxes.shape[-1])
        own = boxes[image][:, cover >= min(128, cover.max())].T.clip(0, 1)
        box = np.array([bounds(part.mask)]) / len(part.mask)
        found.append(float(box_iou(own, box, inclusive=False).mean()))
    return np.array(found, np.float64)


def doubted(near: NDArray[np.float64], further: NDArray[np.float64]) -> int:
    """How many parts agree with neither look."""
    best = np.maximum(near, further)
    return int(np.count_nonzero(best < DOUBT * np.quantile(best, 0.75))) if len(best) else 0


def share_left_out(doubts: float, judged: float) -> float:
    """The share of the parts that is left out, by how many of those judged are doubted.

    Example:
        >>> share_left_out(20, 100), share_left_out(32, 100)
        (0.0, 0.4)
    """
    return min(MOST_OUT, max(0.0, OUT_PER_DOUBT * (doubts / max(1.0, judged) - NO_DOUBTS)))


def kept(near: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """(P,): which parts are kept where `share` of them, those that agree least, are left out."""
    return np.asarray(near >= np.quantile(near, share)) if len(near) else np.zeros(0, np.bool_)
