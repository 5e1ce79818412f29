"""Objects that are alone in their part of a map get all of it. Arrays in, arrays out; torch-free.

`find_objects` gives an object the places whose boxes agree with its own. That tells neighbours apart, and it loses
what sticks out, such as a sail or a wing. Where an object has no neighbour in its connected part of the map, there is
nothing to tell apart; whether that helps, each project tells (training/view_exam.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.localization.instances import FoundObject
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask, FloatMap

SAME_BOX = 0.5  # IoU of the part's box and the object's; a part that differs more is more, or something else
NEIGHBOUR = 0.3  # of another object's mask that lies in the part: it is not alone


def give_whole_parts(
    found: Sequence[FoundObject], maps: Mapping[int, FloatMap], thresholds: Mapping[int, float]
) -> list[FoundObject]:
    """The objects, those that are alone in their part with all of it as their mask.

    Args: maps: index of a class -> (S, S) in [0, 1]. thresholds: index of a class -> where its parts begin.
    """
    parts = {label: _parts(values > thresholds[label]) for label, values in maps.items()}
    masks = [each.score_map > each.threshold for each in found]
    whole = []
    for number, each in enumerate(found):
        part = _part_of(masks[number], parts[each.label])
        others = (*masks[:number], *masks[number + 1 :])
        if part is None or any(_lies_in(other, part) for other in others) or not _same_box(part, each):
            whole.append(each)
            continue
        own = np.where(part, maps[each.label], np.float32(0))
        whole.append(replace(each, score_map=own, threshold=thresholds[each.label], agreement=1.0))
    return whole


def _parts(mask: BoolMask) -> NDArray[np.int32]:
    """The number of each place's connected part, 0 outside."""
    return np.asarray(cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[1], np.int32)


def _part_of(mask: BoolMask, parts: NDArray[np.int32]) -> BoolMask | None:
    """The part that most of an object lies in; None where it lies in none."""
    counts = np.bincount(parts[mask], minlength=2)
    counts[0] = 0
    return np.asarray(parts == counts.argmax(), np.bool_) if counts.any() else None


def _lies_in(other: BoolMask, part: BoolMask) -> bool:
    size = np.count_nonzero(other)
    return bool(size and np.count_nonzero(other & part) > NEIGHBOUR * size)


def _same_box(part: BoolMask, found: FoundObject) -> bool:
    box = np.array(bounds(part)) / part.shape[0]
    return float(box_iou(box[None], found.box[None], inclusive=False)[0, 0]) >= SAME_BOX
