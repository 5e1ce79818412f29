"""Average precision of boxes and masks by COCO's rules, computed by pycocotools, which is imported where it is used.

Masks are kept run-length encoded, so that thousands of images need little memory.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from wsol_core.data.true_mask import true_mask
from wsol_core.errors import ConfigError
from wsol_core.ops.boxes import box_iou
from wsol_core.records import BoolMask, BoxXyxy, CorrectedRegion, Region

MOST_DETECTIONS = 100  # of a class in an image, the best scored; as COCO has it
_ANY_AREA = [0.0, float("inf")]

Entry = dict[str, Any]  # an object as COCO has it


@dataclass(frozen=True, slots=True)
class PrecisionOfBoxesAndMasks:
    """AP at IoU .5, and the mean over IoU .5, .55, ... .95, in [0, 1]; those of masks are None without true masks."""

    ap50: float
    ap: float
    mask_ap50: float | None
    mask_ap: float | None

    def to_dict(self) -> dict[str, float | None]:
        """The numbers."""
        return {"ap50": self.ap50, "ap": self.ap, "mask_ap50": self.mask_ap50, "mask_ap": self.mask_ap}


class AveragePrecision:
    """Takes image by image what was found and what is there; then has the average precision of each class.

    Masks count as long as every true region has one of its own: a file, or its box's part of a file that it shares
    with regions whose boxes it does not overlap. From the first region without one on, no masks are kept.

    Raises: ConfigError where the package pycocotools is not installed.

    Example:
        >>> precision = AveragePrecision()
        >>> precision.add(found.regions, sample.truth, found.size_wh)
        >>> precision.by_class()["crab"].ap50
        0.81
    """

    def __init__(self) -> None:
        try:
            from pycocotools import mask
        except ImportError as error:
            raise ConfigError(
                "Average precision was not measured: the package pycocotools is not installed; install it."
            ) from error
        self._encode = mask.encode
        self._true: list[Entry] = []
        self._found: list[Entry] = []
        self._categories: dict[str, int] = {}
        self._sizes_wh: list[tuple[int, int]] = []
        self._masked = True

    def add(self, found: Sequence[Region], truth: Sequence[CorrectedRegion], size_wh: tuple[int, int]) -> None:
        """Takes one image of `size_wh` pixels."""
        self._sizes_wh.append(size_wh)
        true = [self._entry(self._true, region.label, region.box_xyxy) for region in truth]
        predicted = [
            self._entry(self._found, region.label, region.box_xyxy) | {"score": region.score} for region in found
        ]
        self._masked = self._masked and self._add_masks(true, predicted, found, truth, size_wh)
        self._true += true
        self._found += predicted

    def by_class(self) -> dict[str, PrecisionOfBoxesAndMasks]:
        """Class -> its precision, of the classes that have true regions."""
        boxes = self._measured("bbox")
        masks = self._measured("segm") if self._masked else {}
        return {label: PrecisionOfBoxesAndMasks(*boxes[label], *masks.get(label, (None, None))) for label in boxes}

    def _entry(self, before: Sequence[Entry], label: str, box: BoxXyxy) -> Entry:
        x0, y0, x1, y1 = box
        category = self._categories.setdefault(label, len(self._categories) + 1)
        area = (x1 - x0) * (y1 - y0)
        place = {"image_id": len(self._sizes_wh), "category_id": category, "bbox": [x0, y0, x1 - x0, y1 - y0]}
        return {**place, "area": area, "iscrowd": 0}

    def _add_masks(
        self,
        true: Sequence[Entry],
        predicted: Sequence[Entry],
        found: Sequence[Region],
        truth: Sequence[CorrectedRegion],
        size_wh: tuple[int, int],
    ) -> bool:
        """Whether all true regions have masks; if not, what is kept of masks is dropped."""
        masks = own_masks(truth, size_wh)
        if masks is None:
            for entry in [*self._true, *self._found]:
                del entry["segmentation"]
            return False
        shapes = [*masks, *(region.mask for region in found)]
        for entry, shape in zip([*true, *predicted], shapes, strict=True):
            entry["segmentation"] = self._encode(np.asfortranarray(shape, np.uint8))
        return True

    def _measured(self, kind: Literal["bbox", "segm"]) -> dict[str, tuple[float, float]]:
        """Class -> AP at IoU .5 and the mean over IoU levels."""
        from pycocotools.cocoeval import COCOeval

        with redirect_stdout(io.StringIO()):  # it prints what it does
            evaluation = COCOeval(self._dataset(self._true), self._dataset(self._found), kind)
            evaluation.params.areaRng, evaluation.params.areaRngLbl = [_ANY_AREA], ["all"]
            evaluation.params.maxDets = [MOST_DETECTIONS]
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"][
            ..., 0, 0
        ]  # (IoU levels, recall levels, classes), -1 where none is true
        by_category = {category: precision[..., index] for index, category in enumerate(evaluation.params.catIds)}
        return {
            label: (float(values[0].mean()), float(values.mean()))
            for label, category in self._categories.items()
            if (values := by_category[category]).min() >= 0
        }

    def _dataset(self, entries: Sequence[Entry]) -> Any:
        """The entries as pycocotools reads them, numbered from 1, since it takes 0 for no match."""
        from pycocotools.coco import COCO

        dataset = COCO()
        dataset.dataset = {
            "images": [{"id": id_, "width": w, "height": h} for id_, (w, h) in enumerate(self._sizes_wh, 1)],
            "categories": [{"id": number} for number in self._categories.values()],
            "annotations": [{**entry, "id": number} for number, entry in enumerate(entries, 1)],
        }
        dataset.createIndex()
        return dataset


def own_masks(regions: Sequence[CorrectedRegion], size_wh: tuple[int, int]) -> list[BoolMask] | None:
    """The mask (H, W) of each region; None where one has none of its own."""
    boxes_of = defaultdict(list)
    for region in regions:
        boxes_of[region.mask_path].append(region.box_xyxy)
    if None in boxes_of or any(_overlap(boxes) for boxes in boxes_of.values()):
        return None
    masks = [true_mask([region], size_wh, within_boxes=True) for region in regions]
    whole = [mask for mask in masks if mask is not None]
    return whole if len(whole) == len(masks) else None


def _overlap(boxes: Sequence[BoxXyxy]) -> bool:
    """Whether any two of them share a pixel."""
    return bool((np.triu(box_iou(np.array(boxes), np.array(boxes), inclusive=False), 1) > 0).any())
