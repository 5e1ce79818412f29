"""What Label Studio has stored, against the truth where it is known, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from backend.labelstudio.controls import RECTANGLE
from backend.labelstudio.region_shapes import mask_of
from wsol_core.data.images import open_image, open_image_small
from wsol_core.data.true_mask import true_mask
from wsol_core.errors import DataError
from wsol_core.evaluation.contact_sheet import Tile, contact_sheet
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.masks import mask_iou
from wsol_core.ops.matching import count_edits, match_boxes
from wsol_core.records import BoolMask, BoxXyxy, CorrectedRegion, Sample

RIGHT = 0.5  # IoU from which a box counts
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """The newest prediction of a picture: the boxes of each of its classes, and the union of each class's masks."""

    sample: Sample
    boxes_xyxy: Mapping[str, Sequence[BoxXyxy]]
    masks: Mapping[str, BoolMask]

    @property
    def all_boxes_xyxy(self) -> tuple[BoxXyxy, ...]:
        """The boxes of all classes."""
        return tuple(box for boxes in self.boxes_xyxy.values() for box in boxes)

    @property
    def mask(self) -> BoolMask | None:
        """The union of all masks; None where there is none."""
        return np.logical_or.reduce(list(self.masks.values())) if self.masks else None


def stored(tasks: Sequence[Mapping[str, Any]], samples: Sequence[Sample], version: str) -> list[Stored]:
    """What `version` has predicted for each picture that can be read, in the order of the samples."""
    by_file = {task["data"]["file"]: task for task in tasks}
    found = []
    for sample in samples:
        predictions = by_file.get(sample.file, {}).get("predictions", [])
        mine = [each for each in predictions if each["model_version"] == version]
        if mine and _is_readable(sample):
            found.append(_stored(sample, mine[-1]["result"]))
    return found


def _is_readable(sample: Sample) -> bool:
    try:
        open_image_small(sample.path, 32)
    except DataError:  # the training has named it
        return False
    return True


def measure(pictures: Sequence[Stored]) -> dict[str, float]:
    """What is right, over the pictures whose truth is known; empty where none is.

    GT-known Loc: share of pictures whose largest box has IoU 0.5 or more with a true one. mask IoU: mean over pictures
    of the IoU of all masks together. A picture of several classes counts once for each, with that class's boxes and
    masks alone. objects found: share of true objects that have a box of their class for themselves, IoU 0.5 or more.
    edits saved: 1 - edits / edits by hand, where every box below IoU 0.8 is an edit, each to draw and each to delete.
    """
    known = [(each, label) for each in pictures for label in dict.fromkeys(true.label for true in each.sample.truth)]
    if not known:
        return {}
    masks = [iou for each, label in known if (iou := _mask_iou(each, label)) is not None]
    pairs = [(each.boxes_xyxy.get(label, ()), [true.box_xyxy for true in _true(each, label)]) for each, label in known]
    matched = [match_boxes(boxes, true, least=RIGHT) for boxes, true in pairs]
    found, objects = sum(map(len, matched)), sum(len(true) for _, true in pairs)
    edits = sum(count_edits(each, len(boxes), len(true)) for each, (boxes, true) in zip(matched, pairs, strict=True))
    rates = {"GT-known Loc": float(np.mean([_best_iou(each, label) >= RIGHT for each, label in known]))}
    rates |= {"mask IoU": float(np.mean(masks))} if masks else {}
    return rates | {"objects found": found / objects, "edits saved": 1 - edits / objects}


def write_sheet(pictures: Sequence[Stored], path: Path, most: int = 24) -> None:
    """Some of the pictures, evenly picked, as Label Studio shows them: masks, boxes, and true boxes in white."""
    chosen = [pictures[index] for index in np.linspace(0, len(pictures) - 1, min(most, len(pictures))).astype(int)]
    tiles = [
        Tile(
            open_image(picture.sample.path),
            picture.mask,
            picture.all_boxes_xyxy,
            tuple(region.box_xyxy for region in picture.sample.truth),
        )
        for picture in chosen
    ]
    cv2.imwrite(str(path), cv2.cvtColor(contact_sheet(tiles), cv2.COLOR_RGB2BGR))


def _stored(sample: Sample, result: Sequence[Json]) -> Stored:
    boxes: dict[str, list[BoxXyxy]] = {}
    masks: dict[str, BoolMask] = {}
    for region in result:
        value, kind = region["value"], region["type"]
        for label in set(value.get(kind, ())) & set(sample.labels):
            if kind == RECTANGLE:
                boxes.setdefault(label, []).append(_box(region))
            elif (found := mask_of(region)) is not None:
                masks[label] = masks[label] | found if label in masks else found
    return Stored(sample, boxes, masks)


def _box(region: Json) -> BoxXyxy:
    value, width, height = region["value"], region["original_width"] / 100, region["original_height"] / 100
    x, y = value["x"] * width, value["y"] * height
    return x, y, x + value["width"] * width, y + value["height"] * height


def _true(picture: Stored, label: str) -> list[CorrectedRegion]:
    return [region for region in picture.sample.truth if region.label == label]


def _best_iou(picture: Stored, label: str) -> float:
    """Of the largest box, as in the WSOL protocol, with the true box that fits it best."""
    boxes = picture.boxes_xyxy.get(label)
    if not boxes:
        return 0.0
    largest = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    truth = np.array([region.box_xyxy for region in _true(picture, label)])
    return float(box_iou(np.array([largest]), truth, inclusive=True).max())


def _mask_iou(picture: Stored, label: str) -> float | None:
    _, size_wh = open_image_small(picture.sample.path, 32)
    true = true_mask(_true(picture, label), size_wh, within_boxes=False)
    if true is None:
        return None
    return mask_iou(picture.masks.get(label, np.zeros_like(true)), true)
