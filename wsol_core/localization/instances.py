"""Objects from centres, boxes and maps: peaks find them, places whose boxes agree with a peak's make up its mask.

Arrays in, arrays out; torch-free. See predictor.py for where the arrays come from, and regions.py for what is made of
each object's own map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.localization.regions import certainty, extract_regions, region_of_box
from wsol_core.ops.boxes import box_iou, inside_share
from wsol_core.ops.maps import resize
from wsol_core.records import FloatMap, Region

LEAST_CENTRE = 0.1  # probability of a peak, where the method asks for less
FAINT_CENTRE = 0.03  # of the only peak of a class, which is said to be there
MOST_OBJECTS = 20
SAME_OBJECT = 0.55  # IoU of two peaks' boxes: they are one object
LEAST_AGREEMENT = 0.3  # IoU of a place's box with an object's, of which it then is a part
GRID = 56  # places a side on which parts are told apart
LEVELS = (0.15, 0.25, 0.35, 0.45, 0.55, 0.65)  # of an object's map, at which its mask may begin
TRUSTED = 0.4  # IoU of the mask's box with the peak's: from there on the mask is right, below it the box


@dataclass(frozen=True, slots=True)
class ObjectFields:
    """What the network says of the objects of an image.

    centres: (C, h, w) in [0, 1]. boxes: (4, h, w) xyxy in shares of the image. least_centre: as in `ObjectMaps`.
    """

    centres: NDArray[np.float32]
    boxes: NDArray[np.float32]
    least_centre: float = 0.0


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object. label: index of its class. box: (4,) xyxy in shares of the image, by the peak. agreement: see below.

    score_map: (S, S) in [0, 1], the map where it is this object's, 0 elsewhere; it begins above `threshold`, where its
    box agrees best with the peak's, by the IoU `agreement`.
    """

    label: int
    centre: float
    box: NDArray[np.float32]
    score_map: FloatMap
    threshold: float
    agreement: float


def find_objects(
    fields: ObjectFields, asked: Sequence[int], maps: Sequence[FloatMap], most_inside: float = 1.0
) -> list[FoundObject]:
    """The objects of the classes `asked`, the surest first.

    Args: maps: (S, S) in [0, 1] of each class asked for. most_inside: the share of the smaller of two peaks' boxes that
        may lie in the other; beyond it they are an object and a part of it, of which the surer one stays.
    """
    peaks = _peaks(fields, asked, most_inside)
    if not peaks:
        return []
    labels = assign_classes(np.stack([peak.centres for peak in peaks]))
    boxes = np.stack([peak.box for peak in peaks])
    foreground = np.maximum.reduce(list(maps))
    side = foreground.shape[0]
    owner = _owners(fields.boxes, boxes, side)
    found = []
    for number, (peak, label) in enumerate(zip(peaks, labels, strict=True)):
        own = np.where(owner == number, foreground, np.float32(0))
        threshold, agreement = _best_level(own, peak.box * side)
        found.append(FoundObject(asked[label], float(peak.centres.max()), peak.box, own, threshold, agreement))
    return found


def assign_classes(centres: NDArray[np.float32]) -> list[int]:
    """The class of each of K objects, so that each of the A classes has one where there are enough objects.

    Somebody or the classifier says that all A classes are there. So a class that is no object's first choice gets the
    object that loses least by it, of those whose class has others.

    Args: centres: (K, A), how sure each object is of each class.
    """
    labels = centres.argmax(axis=1)
    logs = np.log(np.maximum(centres, 1e-6))
    for missing in range(centres.shape[1]):
        counts = np.bincount(labels, minlength=centres.shape[1])
        if counts[missing] or not (counts[labels] > 1).any():
            continue
        loss = logs[np.arange(len(labels)), labels] - logs[:, missing]
        loss[counts[labels] < 2] = np.inf
        labels[int(loss.argmin())] = missing
    return [int(label) for label in labels]


def object_regions(
    found: Sequence[FoundObject],
    size_wh: tuple[int, int],
    classes: Sequence[str],
    presence: Mapping[int, float],
) -> list[Region]:
    """The objects as regions of an image of `size_wh` pixels, class by class, the most certain first.

    Args: presence: index of a class -> the probability that the image shows it.
    """
    regions = []
    for each in found:
        label = classes[each.label]
        score = certainty(each.centre * presence[each.label])
        parts = extract_regions(each.score_map, size_wh, label, each.threshold, 1.0, max_regions=1)
        if parts and each.agreement >= TRUSTED:
            regions.append(replace(parts[0], score=score))
        else:
            regions.append(region_of_box(each.box, parts[0].mask if parts else None, size_wh, label, score))
    order = list(presence)
    return sorted(regions, key=lambda region: (order.index(classes.index(region.label)), -region.score))


@dataclass(frozen=True, slots=True)
class _Peak:
    """centres: (A,) of the classes asked for, around the peak. box: (4,) xyxy in shares of the image."""

    centres: NDArray[np.float32]
    box: NDArray[np.float32]


def _peaks(fields: ObjectFields, asked: Sequence[int], most_inside: float) -> list[_Peak]:
    """The local maxima that are no other peak's object, the surest first; then faint ones of classes without any."""
    near = np.ones((3, 3), np.uint8)
    centres = fields.centres[list(asked)]
    around = np.stack([cv2.dilate(each, near) for each in centres])
    heat = centres.max(axis=0)
    top = (heat >= around.max(axis=0)) & (heat >= max(LEAST_CENTRE, fields.least_centre))
    rows, columns = np.nonzero(top)
    order = np.argsort(-heat[rows, columns], kind="stable")[: 5 * MOST_OBJECTS]
    kept: list[_Peak] = []

    def keep(row: int, column: int) -> None:
        peak = _Peak(np.asarray(around[:, row, column], np.float32), fields.boxes[:, row, column].clip(0, 1))
        _keep(kept, peak, most_inside)

    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        keep(row, column)
    for index, own in enumerate(centres):
        row, column = divmod(int(own.argmax()), own.shape[1])
        if own[row, column] >= FAINT_CENTRE and all(peak.centres.argmax() != index for peak in kept):
            keep(row, column)
    return kept


def _keep(kept: list[_Peak], peak: _Peak, most_inside: float) -> None:
    """Adds a peak whose box is a box, and neither another peak's nor a part of it, nor the other a part of this."""
    if len(kept) == MOST_OBJECTS or (peak.box[2:] - peak.box[:2]).min() <= 0:
        return
    others = np.array([each.box for each in kept], np.float32).reshape(-1, 4)
    if (box_iou(peak.box[None], others, inclusive=False) > SAME_OBJECT).any():
        return
    if (inside_share(peak.box[None], others) > most_inside).any():
        return
    kept.append(peak)


def _owners(field: NDArray[np.float32], boxes: NDArray[np.float32], side: int) -> NDArray[np.int32]:
    """(side, side): the number of the box that each place's own box agrees with best; -1 where it agrees with none."""
    places = np.stack([resize(np.ascontiguousarray(part), (GRID, GRID), cv2.INTER_LINEAR) for part in field])
    agreed = box_iou(places.reshape(4, -1).T, boxes, inclusive=False)
    best = agreed.argmax(axis=1)
    owner = np.where(agreed.max(axis=1) >= LEAST_AGREEMENT, best, -1).reshape(GRID, GRID).astype(np.int32)
    return np.asarray(cv2.resize(owner, (side, side), interpolation=cv2.INTER_NEAREST), np.int32)


def _best_level(own: FloatMap, box: NDArray[np.float32]) -> tuple[float, float]:
    """The level at which the map's box agrees best with `box`, in pixels of the map, and by which IoU."""
    columns, rows = own.max(axis=0), own.max(axis=1)
    best = (LEVELS[0], 0.0)
    for level in LEVELS:
        across, down = np.flatnonzero(columns > level), np.flatnonzero(rows > level)
        if not len(across):
            break
        bounds = np.array([[across[0], down[0], across[-1] + 1, down[-1] + 1]], np.float64)
        iou = float(box_iou(bounds, box[None], inclusive=False)[0, 0])
        if iou > best[1]:
            best = (level, iou)
    return best
