"""What benchmarks.ablation measures of a trained model, on images whose boxes and masks are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from wsol_core.data.images import open_mask
from wsol_core.evaluation.evaluate import evaluate
from wsol_core.localization.interactive import BoxPrompt, PointPrompt, localize_prompted
from wsol_core.localization.predictor import Predictor
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.masks import inside_box, mask_iou
from wsol_core.records import BoolMask, CorrectedRegion, Localization, Sample

NAMES = {
    "MaxBoxAcc": "max_box_acc",
    "MaxBoxAccV2": "max_box_acc_v2",
    "PxAP": "px_ap",
    "mask IoU": "mask_iou",
    "GT-known Loc": "gt_known_loc",
    "class accuracy": "top1_accuracy",
}
OBJECT_NAMES = {"CorLoc": "corloc", "AP50": "ap50", "edits saved": "edits_saved"}
MOVED = 0.1  # of a box's sides, at most: how far drawn boxes stray from true ones
MOST_PROMPTS = 32


def measure(model: Path, held: Sequence[Sample]) -> dict[str, float]:
    """The evaluation protocol's measures, of maps and of objects, and the scores' mean square error (Brier)."""
    errors: list[float] = []

    def hear(sample: Sample, found: Localization) -> None:
        truth = np.array([region.box_xyxy for region in sample.truth])
        for region in found.regions:
            meets = box_iou(np.array([region.box_xyxy]), truth, inclusive=False).max() >= 0.5
            errors.append((region.score - meets) ** 2)

    report = evaluate(Predictor.open(model), held, hear)
    found = {name: report.metrics[key] for name, key in NAMES.items()}
    found |= {name: report.instances.overall[key] for name, key in OBJECT_NAMES.items()}
    return {name: np.nan if value is None else value for name, value in found.items()} | {
        "Brier score": float(np.mean(errors)) if errors else np.nan
    }


def measure_prompts(model: Path, held: Sequence[Sample]) -> dict[str, float]:
    """Mean mask IoU of what is found in slightly moved true boxes, and under clicks on objects."""
    predictor = Predictor.open(model)
    boxes: list[float] = []
    points: list[float] = []
    for sample, region, mask in masked_regions(held):
        moved = BoxPrompt(moved_box(region, sample.file))
        distance = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 5)
        y, x = np.unravel_index(int(distance.argmax()), mask.shape)
        for prompt, ious in ((moved, boxes), (PointPrompt(x + 0.5, y + 0.5), points)):
            found = localize_prompted(predictor, sample.path, prompt, region.label)
            ious.append(0.0 if found is None else mask_iou(found.mask, mask))
    return {name: float(np.mean(ious)) if ious else np.nan for name, ious in (("box", boxes), ("click", points))}


def masked_regions(held: Sequence[Sample]) -> Iterator[tuple[Sample, CorrectedRegion, BoolMask]]:
    """The first true region of MOST_PROMPTS images, with its own mask (H, W)."""
    known = [(sample, sample.truth[0]) for sample in held if sample.truth[0].mask_path is not None]
    for sample, region in known[:: max(1, len(known) // MOST_PROMPTS)]:
        assert region.mask_path is not None
        mask = inside_box(open_mask(region.mask_path) > 0, region.box_xyxy)
        if mask.any():
            yield sample, region, mask


def moved_box(region: CorrectedRegion, file: str) -> tuple[float, float, float, float]:
    """The region's box with each side moved by up to MOVED of the box's size; the same for every model."""
    x0, y0, x1, y1 = region.box_xyxy
    steps = np.random.default_rng(list(file.encode())).uniform(-MOVED, MOVED, 4)
    width, height = x1 - x0, y1 - y0
    dx0, dy0, dx1, dy1 = steps * (width, height, width, height)
    return x0 + dx0, y0 + dy0, x1 + dx1, y1 + dy1
