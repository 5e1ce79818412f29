"""Measure a predictor on images whose boxes and masks are known.

See box_metrics.py and pixel_metrics.py for the measures of weakly supervised localization, and instances.py for those
that count objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from wsol_core.data.images import open_mask
from wsol_core.data.true_mask import true_mask
from wsol_core.errors import DataError
from wsol_core.evaluation.box_metrics import IOU_LEVELS, MAP_SIDE_PX, BoxAccuracy, SweptIou, scaled_box
from wsol_core.evaluation.instances import PROTOCOL as INSTANCE_PROTOCOL
from wsol_core.evaluation.instances import InstanceReport, InstanceTally
from wsol_core.evaluation.pixel_metrics import PixelHistogram
from wsol_core.evaluation.ten_crop import resized, ten_crop_scores
from wsol_core.localization.predictor import Predictor, own_labels
from wsol_core.ops.boxes import box_iou, largest_component_box
from wsol_core.ops.maps import resize
from wsol_core.ops.masks import mask_iou
from wsol_core.records import CorrectedRegion, FloatMap, Localization, Sample, Unreadable

PROTOCOL = {
    "input": "the whole image resized to the model's side, no crop; maps at 224 x 224, min-max normalised",
    "iou": "both corners inclusive; a success is IoU >= the level; any true box of the class may match",
    "MaxBoxAcc": "box of the largest contour; one threshold for all images, the best on them (oracle)",
    "MaxBoxAccV2": "boxes of all contours; mean over IoU .3, .5, .7, each at its own best threshold (oracle)",
    "GT-known Loc": "box of the map's largest component (8-connected) at the model's own threshold, IoU >= .5",
    "Top-1 and Top-5 Loc": "GT-known success and the class among the 1 or 5 most probable",
    "Top-1 and Top-5 Loc, swept": "the same with the box and the threshold of MaxBoxAcc (oracle)",
    "PxAP": "pixels of all images pooled, 1000 bins; those of an ignore mask are left out",
    "mask IoU": "all predicted regions of the class against the true mask, at the image's size, model's threshold",
    **INSTANCE_PROTOCOL,
}


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One measured image and class.

    Attributes:
        iou: The box IoU that GT-known Loc counts, in [0, 1].
        mask_iou: In [0, 1]; None without a true mask.
        top1, top5: Whether the class is the most probable one, or among the five.
    """

    file: str
    label: str
    predicted: str
    iou: float
    mask_iou: float | None
    top1: bool
    top5: bool


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What `evaluate` measured.

    Attributes:
        metrics: Name -> value in [0, 1], and "pictures", the number of measured images; None where the truth for a
            metric is missing.
        per_class: Class -> its metrics, by the same names.
        instances: What counts objects one by one, and the worst images of each kind of mistake.
        images: All measured images, the worst box IoU first.
        skipped: A sentence for each image, and each figure, that was not measured.
        threshold, threshold_rule: The model's own, as its card has them.
        protocol: What each metric means, in a sentence.
    """

    metrics: dict[str, float | None]
    per_class: dict[str, dict[str, float | None]]
    instances: InstanceReport
    images: tuple[ImageResult, ...]
    skipped: tuple[str, ...]
    threshold: float
    threshold_rule: str
    protocol: dict[str, str] = field(default_factory=lambda: dict(PROTOCOL))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = asdict(self)
        return {**values, "pictures": values.pop("images")}  # the key that scripts know

    def rows(self) -> list[tuple[str, float | None]]:
        """(name, value) of the overall metrics, in the order of a table."""
        return list(self.metrics.items())


def evaluate(
    predictor: Predictor,
    samples: Sequence[Sample],
    on_image: Callable[[Sample, Localization], None] | None = None,
    threshold: float | None = None,
    ten_crop: bool = False,
) -> EvaluationReport:
    """Measure a model on the samples that carry truth, each for its own labels.

    The metrics are those of Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020,
    and mask IoU at the model's own threshold; and those that count objects one by one, for which an image's truth has
    to name all of its objects. `EvaluationReport.protocol` says how each is counted. Average precision needs the
    package pycocotools; where it is missing, `skipped` says so.

    Args:
        predictor: The model.
        samples: Images with `truth`; those without are named in the report's `skipped`.
        on_image: Called with every measured sample and its localization, which holds regions and maps.
        threshold: In place of the model's own, and of its classes' own.
        ten_crop: Whether the class is the most probable one on average over ten crops, not on the whole image.

    Returns:
        The metrics over all images and by class, and every image's own figures.

    Raises:
        DataError: No sample has truth, or a class is unknown to the model.

    Example:
        >>> report = evaluate(Predictor.open(Path("model")), read_folder(Path("images"), split="test").samples)
        >>> report.metrics["gt_known_loc"], report.images[0].file
        (0.91, 'crab/7.jpg')
    """
    known = [sample for sample in samples if sample.truth]
    skipped = [f"{sample.file} has no true box." for sample in samples if not sample.truth]
    if not known:
        raise DataError("None of the images has a true box; evaluation needs an annotations.jsonl with boxes.")
    if threshold is not None:
        card = replace(predictor.card, threshold=threshold, class_thresholds={}, threshold_rule="given")
        predictor = Predictor(predictor.method, card, predictor.device, str(predictor.precision).removeprefix("torch."))
    measured = _Measured(predictor)
    results = predictor.localize(known, classes_of=own_labels, with_maps=True)
    for sample, result in zip(known, results, strict=True):
        found = _ten_crop_classified(predictor, sample, result) if ten_crop else result
        if isinstance(found, Unreadable):
            skipped.append(found.reason)
            continue
        measured.add(sample, found)
        if on_image is not None:
            on_image(sample, found)
    return measured.report(skipped)


def _ten_crop_classified(
    predictor: Predictor, sample: Sample, found: Localization | Unreadable
) -> Localization | Unreadable:
    image = resized(sample, predictor.card.config.side_px)
    if isinstance(found, Unreadable) or isinstance(image, Unreadable):
        return found
    return replace(found, scores=ten_crop_scores(predictor, image[0]))


class _Measured:
    """What is known so far; grows by a few numbers an image."""

    def __init__(self, predictor: Predictor) -> None:
        self._card = predictor.card
        self._boxes = BoxAccuracy()
        self._pixels: dict[str, PixelHistogram] = defaultdict(PixelHistogram)
        self._overall = PixelHistogram()
        self._instances = InstanceTally()
        self._images: list[ImageResult] = []

    def add(self, sample: Sample, found: Localization) -> None:
        """Measure one image, and each of its labels that has truth."""
        self._instances.add(sample.file, found.regions, sample.truth, found.size_wh)
        ranked = sorted(found.scores, key=lambda name: -found.scores[name])
        for label in sample.labels:
            truth = [region for region in sample.truth if region.label == label]
            if not truth:
                continue
            score_map = found.maps[label]
            boxes = np.array([scaled_box(region.box_xyxy, found.size_wh) for region in truth])
            self._boxes.add(label, SweptIou.of(score_map, boxes), ranked.index(label))
            box = _object_box(score_map, self._card.threshold_of(label))
            overlap = float(box_iou(np.array([box]), boxes, inclusive=True).max()) if box is not None else 0.0
            self._images.append(
                ImageResult(
                    file=sample.file,
                    label=label,
                    predicted=ranked[0],
                    iou=overlap,
                    mask_iou=self._mask(sample, found, label, truth),
                    top1=label == ranked[0],
                    top5=label in ranked[:5],
                )
            )

    def _mask(self, sample: Sample, found: Localization, label: str, truth: Sequence[CorrectedRegion]) -> float | None:
        mask = true_mask(truth, found.size_wh, within_boxes=False)
        if mask is None:
            return None
        side = (MAP_SIDE_PX, MAP_SIDE_PX)
        small = resize(mask.view(np.uint8), side, cv2.INTER_NEAREST) > 0
        ignored = None
        if sample.ignore_path is not None:
            ignored = (resize(open_mask(sample.ignore_path), side, cv2.INTER_NEAREST) > 0) & ~small
        for histogram in (self._overall, self._pixels[label]):
            histogram.add(found.maps[label], small, ignored)
        predicted = np.zeros_like(mask)
        for region in found.regions:
            if region.label == label:
                predicted |= region.mask
        return mask_iou(predicted, mask)

    def report(self, skipped: Sequence[str]) -> EvaluationReport:
        """The metrics of everything added."""
        if not self._images:
            raise DataError(f"None of the images could be measured: {skipped[0] if skipped else 'there are none'}.")
        boxes = self._boxes
        by_level = boxes.max_box_acc_v2()
        masked = any(image.mask_iou is not None for image in self._images)
        metrics = _rates(self._images) | {
            "max_box_acc": boxes.max_box_acc(),
            "max_box_acc_v2": float(np.mean(list(by_level.values()))),
            **{f"max_box_acc_v2_{round(100 * level)}": by_level[level] for level in IOU_LEVELS},
            "top1_loc_swept": boxes.ranked_box_acc(1),
            "top5_loc_swept": boxes.ranked_box_acc(5),
            "px_ap": self._overall.px_ap() if masked else None,
            "p_iou": self._overall.p_iou() if masked else None,
        }
        per_class = {label: self._class_row(label) for label in sorted(boxes.classes)}
        return EvaluationReport(
            metrics=metrics,
            per_class=per_class,
            instances=self._instances.report(),
            images=tuple(sorted(self._images, key=lambda image: (image.iou, image.file))),
            skipped=(*self._instances.not_measured, *skipped),
            threshold=self._card.threshold,
            threshold_rule=self._card.threshold_rule,
        )

    def _class_row(self, label: str) -> dict[str, float | None]:
        own = [image for image in self._images if image.label == label]
        return _rates(own) | {
            "max_box_acc": self._boxes.class_box_acc(label),
            "max_box_acc_v2": self._boxes.class_box_acc_v2(label),
            "px_ap": self._pixels[label].px_ap() if label in self._pixels else None,
        }


def _rates(images: Sequence[ImageResult]) -> dict[str, float | None]:
    hits = [image.iou >= 0.5 for image in images]
    masks = [image.mask_iou for image in images if image.mask_iou is not None]
    return {
        "pictures": float(len(images)),
        "top1_accuracy": float(np.mean([image.top1 for image in images])),
        "top5_accuracy": float(np.mean([image.top5 for image in images])),
        "gt_known_loc": float(np.mean(hits)),
        "top1_loc": float(np.mean([hit and image.top1 for hit, image in zip(hits, images, strict=True)])),
        "top5_loc": float(np.mean([hit and image.top5 for hit, image in zip(hits, images, strict=True)])),
        "mask_iou": float(np.mean(masks)) if masks else None,
    }


def _object_box(score_map: FloatMap, threshold: float) -> tuple[int, int, int, int] | None:
    """Of the largest component above `threshold`, with its far corner clipped as the protocol clips contours' boxes."""
    box = largest_component_box(score_map > threshold)
    if box is None:
        return None
    return box[0], box[1], min(box[2], score_map.shape[1] - 1), min(box[3], score_map.shape[0] - 1)
