"""The thresholds, and the calibration of scores, that a trained method goes out with: on which maps, by which rule.

The rules themselves are thresholds.py's. Corrected regions decide where people drew some, since they say what an
outline is to them; else the maps alone do. Scores are calibrated on corrected images that the method has not seen,
where there are some: those that it learned from look better than any other. True boxes kept for measuring are never
looked at.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from wsol_core.data.image_cache import ImageCache, ResizedImage, ResizedRegion
from wsol_core.data.normalization import to_images
from wsol_core.devices import autocast
from wsol_core.localization.refinement import SIDE_PX, final_map
from wsol_core.localization.regions import extract_regions, raw_score
from wsol_core.localization.thresholds import (
    RULE_WITH_BOXES,
    RULE_WITHOUT_BOXES,
    best_threshold,
    box_ious,
    class_thresholds,
    fit_platt_scaling,
    ious,
    mask_ious,
    threshold_without_boxes,
)
from wsol_core.methods.base import WsolMethod
from wsol_core.records import FloatMap, Sample
from wsol_core.training.model_selection import evaluating

FEWEST_CORRECTED = 5  # images; fewer say less than the maps do
MOST_IMAGES = 128
RIGHT_IOU = 0.5
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """What a ModelCard says about thresholds and scores."""

    threshold: float
    rule: str
    class_thresholds: dict[str, float] = field(default_factory=dict)
    score_scale: float = 1.0
    score_shift: float = 0.0


@dataclass(frozen=True, slots=True)
class Localizer:
    """A trained method with what it needs to make final maps; `device` is where it is."""

    method: WsolMethod
    classes: Sequence[str]
    side_px: int
    refine_edges: bool
    device: torch.device
    dtype: torch.dtype


def choose_thresholds(
    localizer: Localizer, samples: Sequence[Sample], most: int = MOST_IMAGES, unseen: Sequence[Sample] = ()
) -> ThresholdChoice:
    """The best thresholds by the corrected regions of at least 5 of `samples`, else those of the maps alone.

    Args: most: look at so many images at most. unseen: images that were not learned from; where at least 5 of them
        are corrected, scores are calibrated on those, else on the corrected ones of `samples`.
    """
    known, fresh = (_corrected_maps(localizer, those, most) for those in (samples, unseen))
    if known:
        curves: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        for found in known:
            curves[found.label].append(_iou_curve(found.score_map, found.guide.regions[found.label]))
        overall = best_threshold([curve for found in curves.values() for curve in found])
        best = {label: (len(found), best_threshold(found)) for label, found in curves.items()}
        choice = ThresholdChoice(overall, RULE_WITH_BOXES, class_thresholds(best, overall))
    else:
        chosen = [(sample, sample.labels[0]) for sample in pick(samples, most)]
        final = list(_final_maps(localizer, chosen))
        maps, images = [found.score_map for found in final], [found.guide.pixels for found in final]
        choice = ThresholdChoice(threshold_without_boxes(maps, images), RULE_WITHOUT_BOXES)
    scale, shift = _score_calibration(fresh or known, choice)
    return replace(choice, score_scale=scale, score_shift=shift)


def _corrected_maps(localizer: Localizer, samples: Sequence[Sample], most: int) -> list[_FinalMap]:
    """Maps of the corrected classes of corrected images; none of fewer than 5 images."""
    corrected = pick([sample for sample in samples if sample.regions], most)
    asked = [(sample, label) for sample in corrected for label in _corrected_labels(sample, localizer.classes)]
    return list(_final_maps(localizer, asked)) if len(corrected) >= FEWEST_CORRECTED else []


def _score_calibration(known: Sequence[_FinalMap], choice: ThresholdChoice) -> tuple[float, float]:
    """(scale, shift) that make the scores of regions the shares of them that meet a corrected box at IoU 0.5."""
    raw, right = [], []
    for found in known:
        truth = found.guide.regions[found.label].boxes * SIDE_PX
        threshold = choice.class_thresholds.get(found.label, choice.threshold)
        for region in extract_regions(found.score_map, (SIDE_PX, SIDE_PX), found.label, threshold, found.presence):
            raw.append(raw_score(region.score, 1.0))  # back from the sigmoid
            right.append(bool(ious(np.array(region.box_xyxy, np.float64), truth).max() >= RIGHT_IOU))
    return fit_platt_scaling(raw, right)


def pick(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most `most` of the samples, those whose names hash lowest: as if drawn by chance, and always the same."""
    ranked = sorted(samples, key=lambda sample: hashlib.blake2b(sample.file.encode(), digest_size=8).digest())
    return ranked[:most]


def _corrected_labels(sample: Sample, classes: Sequence[str]) -> list[str]:
    return [label for label in dict.fromkeys(region.label for region in sample.regions) if label in classes]


def _iou_curve(score_map: FloatMap, region: ResizedRegion) -> NDArray[np.float64]:
    if region.mask is not None:
        return mask_ious(score_map, region.mask > 127)
    return box_ious(score_map, [(x0, y0, x1, y1) for x0, y0, x1, y1 in (region.boxes * SIDE_PX).tolist()])


@dataclass(frozen=True, slots=True)
class _FinalMap:
    """A class's map of an image and its probability, and the image and its regions resized to (224, 224), too."""

    label: str
    presence: float
    score_map: FloatMap
    guide: ResizedImage


def _final_maps(localizer: Localizer, asked: Sequence[tuple[Sample, str]]) -> Iterator[_FinalMap]:
    """As prediction makes them, of the readable samples, a few at a time."""
    guides, inputs = ImageCache(SIDE_PX, 0), ImageCache(localizer.side_px, 0)
    with ThreadPoolExecutor() as pool, torch.no_grad(), evaluating(localizer.method):
        for start in range(0, len(asked), _AT_ONCE):
            samples, labels = zip(*asked[start : start + _AT_ONCE], strict=True)
            read = list(pool.map(guides.image, samples))
            known = [(label, guide) for label, guide in zip(labels, read, strict=True) if guide is not None]
            if localizer.side_px != SIDE_PX:
                read = list(pool.map(inputs.image, samples))
            pixels = [image.pixels for image in read if image is not None]
            if known:
                raw, present = _seen(localizer, [label for label, _ in known], pixels)
                refined_by = [guide.pixels if localizer.refine_edges else None for _, guide in known]
                finals = pool.map(final_map, raw, refined_by)
                for (label, guide), presence, found in zip(known, present, finals, strict=True):
                    yield _FinalMap(label, presence, found, guide)


def _seen(
    localizer: Localizer, labels: Sequence[str], pixels: Sequence[NDArray[np.uint8]]
) -> tuple[NDArray[np.float32], list[float]]:
    """Maps (B, h, w) of the method for each image's class, and the class's probabilities (B,), as in prediction."""
    images = to_images(np.stack(pixels), localizer.device)
    wanted = torch.tensor([localizer.classes.index(label) for label in labels], device=localizer.device)
    with autocast(localizer.device, localizer.dtype):
        seen = localizer.method(images)
    present = localizer.method.probabilities(seen.logits.float()).gather(1, wanted[:, None])[:, 0]
    return np.asarray(seen.maps_of(wanted).float().cpu().numpy(), np.float32), present.tolist()
