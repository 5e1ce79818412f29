"""The thresholds that a trained method goes out with: which of its maps they are chosen on, and by which rule.

The rules themselves are thresholds.py's. Corrected regions decide where people drew some, since they say what an
outline is to them; else the maps alone do. True boxes kept for measuring are never looked at.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from wsol_core.methods.base import WsolMethod
from wsol_core.normalisation import to_images
from wsol_core.picture_cache import PictureCache, SquashedPicture, SquashedRegion
from wsol_core.precision import autocast
from wsol_core.records import FloatMap, Sample
from wsol_core.refinement import SIDE_PX, final_map
from wsol_core.thresholds import (
    RULE_WITH_BOXES,
    RULE_WITHOUT_BOXES,
    best_threshold,
    box_ious,
    class_thresholds,
    mask_ious,
    threshold_without_boxes,
)
from wsol_core.validation import evaluating

FEWEST_CORRECTED = 5  # pictures; fewer say less than the maps do
MOST_PICTURES = 128
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """What a ModelCard says about thresholds."""

    threshold: float
    rule: str
    class_thresholds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Localizer:
    """A trained method with what it needs to make final maps; `device` is where it is."""

    method: WsolMethod
    classes: Sequence[str]
    side_px: int
    refine: bool
    device: torch.device
    dtype: torch.dtype


def choose_thresholds(localizer: Localizer, samples: Sequence[Sample]) -> ThresholdChoice:
    """The best thresholds by the corrected regions of at least 5 of `samples`, else those of the maps alone."""
    corrected = pick([sample for sample in samples if sample.regions], MOST_PICTURES)
    if len(corrected) >= FEWEST_CORRECTED:
        curves: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        for label, score_map, region in _corrected_maps(localizer, corrected):
            curves[label].append(_iou_curve(score_map, region))
        if curves:
            overall = best_threshold([curve for found in curves.values() for curve in found])
            best = {label: (len(found), best_threshold(found)) for label, found in curves.items()}
            return ThresholdChoice(overall, RULE_WITH_BOXES, class_thresholds(best, overall))
    chosen = pick(samples, MOST_PICTURES)
    maps = (score_map for _, _, score_map in _final_maps(localizer, [(s, s.labels[0]) for s in chosen]))
    return ThresholdChoice(threshold_without_boxes(maps), RULE_WITHOUT_BOXES)


def pick(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most `most` of the samples, those whose names hash lowest: as if drawn by chance, and always the same."""
    ranked = sorted(samples, key=lambda sample: hashlib.blake2b(sample.file.encode(), digest_size=8).digest())
    return ranked[:most]


def _iou_curve(score_map: FloatMap, region: SquashedRegion) -> NDArray[np.float64]:
    if region.mask is not None:
        return mask_ious(score_map, region.mask > 127)
    return box_ious(score_map, [(x0, y0, x1, y1) for x0, y0, x1, y1 in (region.boxes * SIDE_PX).tolist()])


def _corrected_maps(localizer: Localizer, samples: Sequence[Sample]) -> Iterator[tuple[str, FloatMap, SquashedRegion]]:
    asked = [(sample, label) for sample in samples for label in {region.label: None for region in sample.regions}]
    for label, picture, score_map in _final_maps(localizer, asked):
        yield label, score_map, picture.regions[label]


def _final_maps(
    localizer: Localizer, asked: Sequence[tuple[Sample, str]]
) -> Iterator[tuple[str, SquashedPicture, FloatMap]]:
    """The class's final map of each readable sample, as prediction makes it, a few pictures in memory at a time."""
    cache = PictureCache(SIDE_PX, 0)
    with ThreadPoolExecutor() as pool, torch.no_grad(), evaluating(localizer.method):
        for start in range(0, len(asked), _AT_ONCE):
            part = asked[start : start + _AT_ONCE]
            read = list(pool.map(cache.picture, [sample for sample, _ in part]))
            known = [(label, picture) for (_, label), picture in zip(part, read, strict=True) if picture is not None]
            if known:
                raw = _raw_maps(localizer, known)
                guides = [picture.pixels if localizer.refine else None for _, picture in known]
                finals = list(pool.map(final_map, raw, guides))
                yield from ((label, picture, found) for (label, picture), found in zip(known, finals, strict=True))


def _raw_maps(localizer: Localizer, known: Sequence[tuple[str, SquashedPicture]]) -> NDArray[np.float32]:
    """(B, h, w) maps of the method for each picture's class."""
    images = to_images(np.stack([picture.pixels for _, picture in known]), localizer.device)
    if localizer.side_px != SIDE_PX:
        side = (localizer.side_px, localizer.side_px)
        images = torch.nn.functional.interpolate(images, size=side, mode="bilinear", antialias=True)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.tensor([localizer.classes.index(label) for label, _ in known], device=localizer.device)
    with autocast(localizer.device, localizer.dtype):
        maps = localizer.method.activation_maps(images, labels)
    return np.asarray(maps.float().cpu().numpy(), np.float32)
