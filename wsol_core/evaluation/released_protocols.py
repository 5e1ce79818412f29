"""The protocols of BAS's and ORNet's releases: how they look at an image, cut a box out of a map, and count it.

Neither is comparable with evaluate.py's, which is wsolevaluation's: images are cropped, and boxes are made otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from wsol_core.cores import usable_cores
from wsol_core.data.images import RgbPixels
from wsol_core.data.normalization import to_images
from wsol_core.devices import autocast
from wsol_core.errors import DataError
from wsol_core.evaluation.ten_crop import RESIZED_SHARE, Scores, resized, ten_crop_scores
from wsol_core.localization.predictor import Predictor
from wsol_core.ops.boxes import box_iou, largest_component_box
from wsol_core.ops.maps import resize
from wsol_core.records import BoxXyxy, FloatMap, Sample, Unreadable

BATCH = 32
BAS_EPS = 1e-5
ORNET_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))  # .05 to .95


@dataclass(frozen=True, slots=True)
class ReleasedProtocol:
    """A release's rules. All boxes are in pixels of the centre crop.

    Attributes:
        box: (map (h, w), threshold, side of the crop) -> box.
        clip: whether true boxes are cut down to whole pixels inside the crop.
        inclusive: whether a box's far corner belongs to it when IoU is counted.
        strict: whether IoU has to be more than the level, and not only as much.
        thresholds: those tried where none is given; empty: the model's own.
        sentences: what each measure is.
    """

    box: Callable[[FloatMap, float, int], BoxXyxy]
    clip: bool
    inclusive: bool
    strict: bool
    thresholds: tuple[float, ...]
    sentences: dict[str, str]

    def hits(self, ious: NDArray[np.float64], level: float) -> NDArray[np.bool_]:
        """Where an IoU is a success."""
        return np.asarray(ious > level if self.strict else ious >= level)


def bas_box(score_map: FloatMap, threshold: float, side_px: int) -> BoxXyxy:
    """Of the largest component of the map, min-max normalised and then resized; the whole crop where there is none."""
    low, high = float(score_map.min()), float(score_map.max())
    stretched = np.asarray((score_map - low) / (high - low + BAS_EPS), np.float32)
    full = resize(stretched, (side_px, side_px), cv2.INTER_LINEAR)
    return largest_component_box(full > threshold) or (0, 0, side_px, side_px)


def ornet_box(score_map: FloatMap, threshold: float, side_px: int) -> BoxXyxy:
    """Of all cells of the raw map above the threshold, first corners to first corners; the whole crop without any."""
    rows, columns = np.nonzero(score_map > threshold)
    if not len(rows):
        return (0, 0, side_px, side_px)
    scale = side_px / score_map.shape[0]
    return (columns.min() * scale, rows.min() * scale, columns.max() * scale, rows.max() * scale)


_COMMON = {
    "input": "resized to 8/7 of the model's side without keeping the aspect ratio, then the centre crop",
    "GT-known Loc": "the box's IoU with a true one of the class reaches .5",
    "Top-1 and Top-5 Loc": "GT-known success and the class among the 1 or 5 most probable",
}
PROTOCOLS = {
    "bas": ReleasedProtocol(
        box=bas_box,
        clip=True,
        inclusive=True,
        strict=False,
        thresholds=(),
        sentences=_COMMON
        | {
            "box": "of the largest component (8-connected) of the min-max normalised map at one threshold",
            "iou": "both corners inclusive, a success is IoU >= .5; true boxes are clipped to the crop",
        },
    ),
    "ornet": ReleasedProtocol(
        box=ornet_box,
        clip=False,
        inclusive=False,
        strict=True,
        thresholds=ORNET_THRESHOLDS,
        sentences=_COMMON
        | {
            "box": "of all pixels of the raw map above the threshold; of .05, .10, ... .95 the best on them (oracle)",
            "iou": "corners exclusive, a success is IoU > .5; true boxes are not clipped to the crop",
        },
    ),
}


@dataclass(frozen=True, slots=True)
class ReleasedResult:
    """One measured image and class, at the threshold of the report."""

    file: str
    label: str
    iou: float
    top1: bool
    top5: bool


@dataclass(frozen=True, slots=True)
class ReleasedReport:
    """What `evaluate_released` measured; `metrics` and `skipped` as in `EvaluationReport`."""

    metrics: dict[str, float | None]
    images: tuple[ReleasedResult, ...]
    skipped: tuple[str, ...]
    threshold: float
    threshold_rule: str
    protocol: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = asdict(self)
        pictures = values.pop("images")
        return {**values, "pictures": pictures}


def evaluate_released(
    predictor: Predictor,
    samples: Sequence[Sample],
    protocol: str,
    threshold: float | None = None,
    ten_crop: bool = False,
    on_image: Callable[[Sample], None] | None = None,
) -> ReleasedReport:
    """Measure a model as BAS's or ORNet's release does, on the samples that carry truth.

    Args:
        protocol: one of `PROTOCOLS`.
        threshold: at which maps are cut; None: the model's own, or for ORNet the best of a sweep on these images.
        ten_crop: whether the class is the most probable one on average over ten crops, not in the centre crop.

    Raises:
        DataError: No sample has truth, or a class is unknown to the model.

    Example:
        >>> evaluate_released(predictor, samples, "bas", threshold=0.1, ten_crop=True).metrics["top1_loc"]
        0.7675
    """
    known = [sample for sample in samples if sample.truth]
    skipped = [f"{sample.file} has no true box." for sample in samples if not sample.truth]
    if not known:
        raise DataError("None of the images has a true box; evaluation needs an annotations.jsonl with boxes.")
    rules = PROTOCOLS[protocol]
    thresholds = rules.thresholds if threshold is None else (threshold,)
    tally = _Tally(rules, thresholds or (predictor.card.threshold,))
    for found in _measured(predictor, known, ten_crop):
        if isinstance(found, Unreadable):
            skipped.append(found.reason)
            continue
        tally.add(found)
        if on_image is not None:
            on_image(found.sample)
    rule = "given" if threshold is not None else predictor.card.threshold_rule
    return tally.report(skipped, "the best on these images" if len(tally.thresholds) > 1 else rule)


@dataclass(frozen=True, slots=True)
class _Found:
    """An image behind the network: its raw maps of its own labels, and its class scores."""

    sample: Sample
    size_wh: tuple[int, int]
    side_px: int
    maps: dict[str, FloatMap]
    scores: Scores


def _measured(predictor: Predictor, samples: Sequence[Sample], ten_crop: bool) -> Iterator[_Found | Unreadable]:
    side = predictor.card.config.side_px
    waiting = iter(samples)
    with ThreadPoolExecutor(usable_cores()) as pool:
        while chunk := list(islice(waiting, BATCH)):
            read = list(pool.map(lambda sample: resized(sample, side), chunk))
            yield from _behind_network(predictor, chunk, read, side, ten_crop)


def _behind_network(
    predictor: Predictor,
    samples: Sequence[Sample],
    read: Sequence[tuple[RgbPixels, tuple[int, int]] | Unreadable],
    side: int,
    ten_crop: bool,
) -> Iterator[_Found | Unreadable]:
    readable = [image for image in read if not isinstance(image, Unreadable)]
    names = predictor.card.classes
    maps, scores = torch.zeros(0), torch.zeros(0)
    if readable:
        margin = (len(readable[0][0]) - side) // 2
        crops = np.stack([pixels[margin : margin + side, margin : margin + side] for pixels, _ in readable])
        with torch.inference_mode(), autocast(predictor.device, predictor.precision):
            prediction = predictor.method(to_images(crops, predictor.device))
        maps = prediction.maps.float().cpu()
        scores = predictor.method.probabilities(prediction.logits.float()).cpu()
    row = 0
    for sample, image in zip(samples, read, strict=True):
        if isinstance(image, Unreadable):
            yield image
            continue
        pixels, size_wh = image
        own = {label: maps[row, _index(label, names, sample) if maps.shape[1] > 1 else 0] for label in sample.labels}
        seen = ten_crop_scores(predictor, pixels) if ten_crop else dict(zip(names, scores[row].tolist(), strict=True))
        yield _Found(sample, size_wh, side, {label: values.numpy() for label, values in own.items()}, seen)
        row += 1


def _index(label: str, names: Sequence[str], sample: Sample) -> int:
    if label not in names:
        raise DataError(f"{sample.file}: the model does not know the class {label!r}; it knows {', '.join(names)}.")
    return names.index(label)


class _Tally:
    """IoU of every image and class at every threshold."""

    def __init__(self, rules: ReleasedProtocol, thresholds: tuple[float, ...]) -> None:
        self.thresholds = thresholds
        self._rules = rules
        self._ious: list[NDArray[np.float64]] = []
        self._ranks: list[int] = []
        self._names: list[tuple[str, str]] = []

    def add(self, found: _Found) -> None:
        """Measure one image for each of its labels that has truth."""
        ranked = sorted(found.scores, key=lambda name: -found.scores[name])
        for label, score_map in found.maps.items():
            truth = [self._true_box(r.box_xyxy, found) for r in found.sample.truth if r.label == label]
            if truth:
                boxes = [self._rules.box(score_map, threshold, found.side_px) for threshold in self.thresholds]
                ious = box_iou(np.array(boxes), np.array(truth), inclusive=self._rules.inclusive)
                self._ious.append(ious.max(axis=1))
                self._ranks.append(ranked.index(label))
                self._names.append((found.sample.file, label))

    def _true_box(self, box: BoxXyxy, found: _Found) -> BoxXyxy:
        side, whole = found.side_px, round(found.side_px * RESIZED_SHARE)
        x0, y0, x1, y1 = (
            value * whole / size - (whole - side) // 2 for value, size in zip(box, found.size_wh * 2, strict=True)
        )
        if not self._rules.clip:
            return x0, y0, x1, y1
        return int(max(x0, 0)), int(max(y0, 0)), int(min(x1, side - 1)), int(min(y1, side - 1))

    def report(self, skipped: Sequence[str], rule: str) -> ReleasedReport:
        """The metrics of everything added, at the threshold with the most GT-known successes."""
        if not self._ious:
            raise DataError(f"None of the images could be measured: {skipped[0] if skipped else 'there are none'}.")
        ious, ranks = np.stack(self._ious), np.array(self._ranks)
        best = int(np.argmax(self._rules.hits(ious, 0.5).mean(axis=0)))
        hits = {level: self._rules.hits(ious[:, best], level) for level in (0.3, 0.5, 0.7)}
        metrics: dict[str, float | None] = {
            "pictures": float(len(ranks)),
            "top1_accuracy": float((ranks < 1).mean()),
            "top5_accuracy": float((ranks < 5).mean()),
            "gt_known_loc": float(hits[0.5].mean()),
            "top1_loc": float((hits[0.5] & (ranks < 1)).mean()),
            "top5_loc": float((hits[0.5] & (ranks < 5)).mean()),
            "gt_known_loc_30": float(hits[0.3].mean()),
            "gt_known_loc_70": float(hits[0.7].mean()),
        }
        rows = zip(self._names, ious[:, best].tolist(), self._ranks, strict=True)
        images = (ReleasedResult(file, label, iou, rank < 1, rank < 5) for (file, label), iou, rank in rows)
        ordered = tuple(sorted(images, key=lambda image: (image.iou, image.file)))
        return ReleasedReport(
            metrics, ordered, tuple(skipped), self.thresholds[best], rule, dict(self._rules.sentences)
        )
