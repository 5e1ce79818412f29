"""Choose mask thresholds and calibrate region scores after training, on the maps that prediction makes.

See localization/thresholds.py for the rules. Corrected regions decide where people drew some, since they say what an
outline is to them; else the maps alone do. Scores are calibrated on corrected images that the method has not seen,
where there are some: those that it learned from look better than any other. How loosely people draw is read from all
corrected images. True boxes kept for measuring are never looked at.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsol_core.data.image_cache import ResizedRegion, resized_objects, united
from wsol_core.localization.closer_regions import from_closer_up
from wsol_core.localization.image_maps import ImageMaps
from wsol_core.localization.image_regions import uncalibrated_regions
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import ClassesOf, Predictor
from wsol_core.localization.refinement import SIDE_PX
from wsol_core.localization.regions import with_margin
from wsol_core.localization.thresholds import (
    RULE_WITH_BOXES,
    RULE_WITHOUT_BOXES,
    best_threshold,
    box_ious,
    class_thresholds,
    fit_platt_scaling,
    mask_ious,
    threshold_without_boxes,
)
from wsol_core.localization.worth import Calibration, Worth, evidence
from wsol_core.ops.matching import LOOSE_IOU, TIGHT_IOU, match_regions
from wsol_core.records import CorrectedRegion, FloatMap, Localization, Region, Sample, Unreadable
from wsol_core.training.box_margins import box_margin
from wsol_core.training.closer_exam import closer_is_clearer
from wsol_core.training.model_selection import evaluating
from wsol_core.training.object_exam import ExamResult, examine
from wsol_core.training.view_exam import steadiest_way

logger = logging.getLogger(__name__)

FEWEST_CORRECTED = 5  # images; fewer say less than the maps do
MOST_IMAGES = 128
# What regions of other projects' models were worth, from labels alone; `python -m benchmarks.worth` measures it.
EXPECTED_OF_PARTS = Worth(Calibration(1.15, -3.6), Calibration(1.05, -1.5))
EXPECTED_OF_CENTRES = Worth(Calibration(1.3, -0.9), Calibration(1.2, 1.5))
# By so much better, in logits, regions look in the exam, whose objects are the model's own, than they are.
ACCEPT_OPTIMISM, KEEP_OPTIMISM = 0.9, 0.6
MOST_EXAMINED = 96


def choose_thresholds(
    predictor: Predictor,
    samples: Sequence[Sample],
    most: int = MOST_IMAGES,
    unseen: Sequence[Sample] = (),
    with_objects: bool = True,
) -> ModelCard:
    """The predictor's card with the best thresholds by the corrected regions of at least 5 of `samples`, else by maps.

    The method's parts are in their modes of before afterwards, so that a training may go on.

    Args: most: look at so many images at most. unseen: images that were not learned from; where at least 5 of them
        are corrected, scores are calibrated on those, else on the corrected ones of `samples`. with_objects: whether
        single objects may be shown and looked at from closer up; False where the method had too few steps for them.
    """
    with evaluating(predictor.method):
        known, fresh = (_corrected_images(predictor, those, most) for those in (samples, unseen))
        card = _with_boxes(predictor.card, known) if known else _without_boxes(predictor, pick(samples, most))
        chosen = copy(predictor)
        chosen.card = card
        if with_objects:
            examined = pick(samples, min(most, MOST_EXAMINED))
            exam = _choose_objects(chosen, examined)
            if exam is not None and exam.chosen is not None:
                chosen.card = replace(chosen.card, most_inside=exam.most_inside)
                chosen.card = steadiest_way(chosen, examined).of(chosen.card)
            chosen.card = replace(chosen.card, looks_closer=closer_is_clearer(chosen, examined))
        else:
            exam = None
            predictor.method.choose_objects(None)
    learned_from, unlearned = ([_found_where_corrected(chosen, each, exam) for each in some] for some in (known, fresh))
    margin = box_margin([*learned_from, *unlearned])
    return replace(chosen.card, box_margin=margin).with_worth(_worth(unlearned or learned_from, margin, exam))


def _choose_objects(predictor: Predictor, samples: Sequence[Sample]) -> ExamResult | None:
    """Whether objects are centres or parts of maps, by an exam on a project's own images."""
    if (result := examine(predictor, samples)) is None:
        return None
    predictor.method.choose_objects(result.chosen)
    logger.info(
        "Exam on %d objects: F1 %.3f by centres from %.2f on, up to %.0f %% inside each other, %.3f by parts of maps; "
        "%s are shown.",
        result.objects,
        result.by_centres,
        result.floor,
        100 * result.most_inside,
        result.by_parts,
        "parts" if result.chosen is None else "objects by centres",
    )
    return result


def pick(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most `most` of the samples, those whose names hash lowest: as if drawn by chance, and always the same."""
    ranked = sorted(samples, key=lambda sample: hashlib.blake2b(sample.file.encode(), digest_size=8).digest())
    return ranked[:most]


@dataclass(frozen=True, slots=True)
class _CorrectedImage:
    """An image's maps (224, 224) of its corrected classes, and what people drew of each on the same grid.

    drawn: class -> all its objects as one. objects: one by one.
    """

    maps: ImageMaps
    drawn: Mapping[str, ResizedRegion]
    objects: tuple[CorrectedRegion, ...]


def _with_boxes(card: ModelCard, known: Sequence[_CorrectedImage]) -> ModelCard:
    curves: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for image in known:
        for label, drawn in image.drawn.items():
            curves[label].append(_iou_curve(image.maps.maps[label], drawn))
    overall = best_threshold([curve for found in curves.values() for curve in found])
    best = {label: (len(found), best_threshold(found)) for label, found in curves.items()}
    of_classes = class_thresholds(best, overall)
    return replace(card, threshold=overall, threshold_rule=RULE_WITH_BOXES, class_thresholds=of_classes)


def _without_boxes(predictor: Predictor, samples: Sequence[Sample]) -> ModelCard:
    found = list(_maps(predictor, samples, lambda sample: sample.labels[:1]))
    maps, images = [next(iter(image.maps.values())) for image in found], [image.pixels for image in found]
    threshold = threshold_without_boxes(maps, images)
    return replace(predictor.card, threshold=threshold, threshold_rule=RULE_WITHOUT_BOXES)


def _corrected_images(predictor: Predictor, samples: Sequence[Sample], most: int) -> list[_CorrectedImage]:
    """Maps of the corrected classes of corrected images; none of fewer than 5 images."""

    def labels_of(sample: Sample) -> list[str]:
        drawn = dict.fromkeys(region.label for region in sample.regions)
        return [label for label in drawn if label in predictor.card.classes]

    corrected = pick([sample for sample in samples if sample.regions], most)
    if len(corrected) < FEWEST_CORRECTED:
        return []
    images = _maps(predictor, [sample for sample in corrected if labels_of(sample)], labels_of)
    return [_corrected_image(image) for image in images]


def _corrected_image(image: ImageMaps) -> _CorrectedImage:
    objects = resized_objects(image.sample, image.size_wh, SIDE_PX)
    regions = {label: united([found for found in objects if found.label == label]) for label in image.maps}
    drawn = {label: region for label, region in regions.items() if region is not None}
    (w, h), own = image.size_wh, [each for each in image.sample.regions if each.label in image.maps]
    scale = np.array([w, h, w, h]) / SIDE_PX
    small = (CorrectedRegion(each.label, (np.array(each.box_xyxy) / scale).tolist()) for each in own)
    return _CorrectedImage(image, drawn, tuple(small))


def _maps(predictor: Predictor, samples: Sequence[Sample], classes_of: ClassesOf) -> Iterator[ImageMaps]:
    """Of the readable samples."""
    for found in predictor.activation_maps(samples, classes_of):
        if isinstance(found, Unreadable):
            logger.warning("Skipped: %s", found.reason)
        else:
            yield found


def _iou_curve(score_map: FloatMap, drawn: ResizedRegion) -> NDArray[np.float64]:
    if drawn.mask is not None:
        return mask_ious(score_map, drawn.mask > 127)
    return box_ious(score_map, [(x0, y0, x1, y1) for x0, y0, x1, y1 in (drawn.boxes * SIDE_PX).tolist()])


@dataclass(slots=True)
class _Judged:
    """Evidence of regions, and their IoU with the objects they were matched with; 0 without one."""

    evidence: list[float] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)

    def worth(self, before: Worth) -> Worth:
        """How often regions of such evidence meet an object at IoU 0.8 and 0.5, drawn towards `before`."""
        accept = fit_platt_scaling(self.evidence, [iou >= TIGHT_IOU for iou in self.ious], before.accept)
        return Worth(accept, fit_platt_scaling(self.evidence, [iou >= LOOSE_IOU for iou in self.ious], before.keep))


def _expected_worth(exam: ExamResult | None) -> Worth:
    """What regions are worth as far as a project's own images and other projects tell, without a person's box."""
    if exam is None or exam.chosen is None:
        return EXPECTED_OF_PARTS
    judged = _Judged(*map(list, zip(*exam.judged, strict=True)))
    found = judged.worth(EXPECTED_OF_CENTRES)
    return Worth(found.accept.shifted(-ACCEPT_OPTIMISM), found.keep.shifted(-KEEP_OPTIMISM))


class _Found(NamedTuple):
    """Regions of a corrected image without a margin, and what people drew of it, in pixels of its size (w, h)."""

    regions: Sequence[Region]
    drawn: Sequence[CorrectedRegion]
    size_wh: tuple[int, int]


def _found_where_corrected(predictor: Predictor, image: _CorrectedImage, exam: ExamResult | None) -> _Found:
    fields, least_centre = image.maps.fields, None if exam is None else exam.chosen
    if fields is not None:
        fields = None if least_centre is None else replace(fields, least_centre=least_centre)
    maps = replace(image.maps, fields=fields)
    if predictor.card.looks_closer:  # in pixels of the image, as closer looks are
        first = Localization(maps.sample.file, maps.size_wh, {}, tuple(uncalibrated_regions(maps, predictor.card)))
        drawn = tuple(each for each in maps.sample.regions if each.label in maps.maps)
        return _Found(from_closer_up(predictor, maps.sample, first).regions, drawn, maps.size_wh)
    size_wh = (SIDE_PX, SIDE_PX)
    return _Found(uncalibrated_regions(replace(maps, size_wh=size_wh), predictor.card), image.objects, size_wh)


def _worth(corrected: Sequence[_Found], margin: float, exam: ExamResult | None) -> Worth:
    """What regions are worth by corrected images too, if there are some."""
    judged = _Judged()
    for regions, drawn, _ in corrected:
        shown = [with_margin(region, margin) for region in regions]
        matched = {pair.found: pair.iou for pair in match_regions(shown, drawn)}
        judged.evidence += [evidence(region) for region in regions]
        judged.ious += [matched.get(number, 0.0) for number in range(len(regions))]
    return judged.worth(_expected_worth(exam))
