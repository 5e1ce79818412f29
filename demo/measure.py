"""What Label Studio has stored, against the truth where it is known, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from backend.labelstudio.brush_rle import decode_mask
from wsol_core.data.images import open_image, open_image_small
from wsol_core.data.true_mask import true_mask
from wsol_core.evaluation.contact_sheet import Tile, contact_sheet
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.masks import mask_iou
from wsol_core.records import BoolMask, BoxXyxy, Sample

RIGHT = 0.5  # IoU from which a box counts
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """The newest prediction of a picture: boxes of its class with their scores, and the union of its masks."""

    sample: Sample
    boxes_xyxy: tuple[BoxXyxy, ...]
    scores: tuple[float, ...]
    mask: BoolMask | None


def stored(tasks: Sequence[Mapping[str, Any]], samples: Sequence[Sample], version: str) -> list[Stored]:
    """What `version` has predicted for each picture, in the order of the samples; those without are left out."""
    by_file = {task["data"]["file"]: task for task in tasks}
    found = []
    for sample in samples:
        predictions = by_file.get(sample.file, {}).get("predictions", [])
        mine = [each for each in predictions if each["model_version"] == version]
        if mine:
            found.append(_stored(sample, mine[-1]["result"]))
    return found


def measure(pictures: Sequence[Stored]) -> dict[str, float]:
    """GT-known Loc (share of pictures whose largest box has IoU 0.5 or more with a true one) and mean mask IoU.

    Empty where no truth is known.
    """
    known = [picture for picture in pictures if picture.sample.truth]
    right = [_best_iou(picture) >= RIGHT for picture in known]
    masks = [iou for picture in known if (iou := _mask_iou(picture)) is not None]
    rates = {"GT-known Loc": float(np.mean(right))} if right else {}
    return rates | ({"mask IoU": float(np.mean(masks))} if masks else {})


def write_sheet(pictures: Sequence[Stored], path: Path, most: int = 24) -> None:
    """Some of the pictures, evenly picked, as Label Studio shows them: masks, boxes, and true boxes in white."""
    chosen = [pictures[index] for index in np.linspace(0, len(pictures) - 1, min(most, len(pictures))).astype(int)]
    tiles = [
        Tile(
            open_image(picture.sample.path),
            picture.mask,
            picture.boxes_xyxy,
            tuple(region.box_xyxy for region in picture.sample.truth),
        )
        for picture in chosen
    ]
    cv2.imwrite(str(path), cv2.cvtColor(contact_sheet(tiles), cv2.COLOR_RGB2BGR))


def _stored(sample: Sample, result: Sequence[Json]) -> Stored:
    boxes, scores, mask = [], [], None
    for region in result:
        value, kind = region["value"], region["type"]
        if kind == "rectanglelabels" and set(value[kind]) & set(sample.labels):
            width, height = region["original_width"] / 100, region["original_height"] / 100
            x, y = value["x"] * width, value["y"] * height
            boxes.append((x, y, x + value["width"] * width, y + value["height"] * height))
            scores.append(float(region["score"]))
        elif kind == "brushlabels":
            size_wh = (region["original_width"], region["original_height"])
            found = decode_mask(value["rle"], size_wh)
            mask = found if mask is None else mask | found
    return Stored(sample, tuple(boxes), tuple(scores), mask)


def _best_iou(picture: Stored) -> float:
    """Of the largest box, as in the WSOL protocol, with the true box that fits it best."""
    if not picture.boxes_xyxy:
        return 0.0
    largest = max(picture.boxes_xyxy, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    truth = np.array([region.box_xyxy for region in picture.sample.truth])
    return float(box_iou(np.array([largest]), truth, inclusive=True).max())


def _mask_iou(picture: Stored) -> float | None:
    _, size_wh = open_image_small(picture.sample.path, 32)
    true = true_mask(picture.sample.truth, size_wh, within_boxes=False)
    if true is None:
        return None
    return mask_iou(picture.mask if picture.mask is not None else np.zeros_like(true), true)
