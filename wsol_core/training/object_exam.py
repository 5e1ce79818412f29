"""An exam on a project's own images: from which probability on a centre is an object, and whether parts are better.

No box by people is needed: what is true of an image is what labels and maps tell (`pseudo_objects`), exactly where
objects were pasted in, and what people drew where they drew some. Places of which nothing is known do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from wsol_core.data.batch import Batch
from wsol_core.data.composites import Scene
from wsol_core.data.images import resize_to_square
from wsol_core.data.loader import BatchLoader
from wsol_core.data.transforms import Augmentation
from wsol_core.errors import DataError
from wsol_core.localization.image_maps import ImageMaps
from wsol_core.localization.image_regions import uncalibrated_regions
from wsol_core.localization.inference import DecodedImage
from wsol_core.localization.predictor import Predictor, own_labels
from wsol_core.localization.refinement import SIDE_PX
from wsol_core.localization.worth import evidence
from wsol_core.methods.pseudo_objects import training_scenes
from wsol_core.ops.masks import bounds
from wsol_core.ops.matching import LOOSE_IOU, match_regions
from wsol_core.records import CorrectedRegion, Region, Sample
from wsol_core.training.step import seeded

FLOORS = tuple(round(0.1 + 0.05 * step, 2) for step in range(13))  # probabilities of a centre that are tried
# Shares of a box that may lie in another one, which are tried. The first forbids nothing, as objects that stand before
# one another need it; with the others, parts of an object are no objects.
MOST_INSIDE = (1.0, 0.7, 0.5)
CLEARLY = 0.02  # F1 by which fewer overlapping boxes have to be better, or they stay allowed
FEW = 0.01  # of the known objects, or one a round, may be lost by that: neighbours are no parts of one another
FEWEST_OBJECTS = 8  # known ones; fewer do not tell
BATCH_SIZE = 16
ROUNDS = 3  # each image is seen so often, with other objects pasted in
# Of the parts' F1 that centres need. What is true of an image without corrections are parts of maps that look like one
# object, so parts pass nearly as they are: .79 to .44 where centres found AP50 .37 and parts .28 of drawn neighbours.
HANDICAP = 0.5
MOSTLY = 0.5  # of a region that lies where nothing is known: it is neither right nor wrong
_PLAIN = Augmentation(margin_px=0, mirror=0.0, jitter=0.0)


@dataclass(frozen=True, slots=True)
class ExamResult:
    """How well objects are found. objects: known ones in the exam. floor: the best probability of a centre.

    by_centres, by_parts: F1 at IoU 0.5 of objects from `floor` on, and of the connected parts of maps. judged: the
    evidence for each region by centres, and its IoU with a known object, 0 below 0.5. most_inside: how far objects'
    boxes should lie in one another, as in the model card.
    """

    objects: int
    floor: float
    by_centres: float
    by_parts: float
    judged: tuple[tuple[float, float], ...] = ()
    most_inside: float = 1.0

    @property
    def chosen(self) -> float | None:
        """What `WsolMethod.choose_objects` is to be called with."""
        return self.floor if self.objects >= FEWEST_OBJECTS and self.by_centres >= HANDICAP * self.by_parts else None


class _Judged(NamedTuple):
    """Of a region; the IoU is that with an object, 0 below 0.5."""

    score: float
    evidence: float
    iou: float


@dataclass(slots=True)
class _Tally:
    """The regions, and how many objects there were to be found."""

    judged: list[_Judged] = field(default_factory=list)
    objects: int = 0

    def add(self, regions: Sequence[Region], classes: Sequence[str], scene: Scene) -> None:
        scale = SIDE_PX / scene.ignored.shape[0]
        truth = []
        for each in scene.objects:
            x0, y0, x1, y1 = bounds(each.mask)
            truth.append(CorrectedRegion(classes[each.label], (x0 * scale, y0 * scale, x1 * scale, y1 * scale)))
        ious = {pair.found: pair.iou for pair in match_regions(regions, truth, LOOSE_IOU)}
        self.objects += len(truth)
        for number, region in enumerate(regions):
            if number in ious or not _is_unknown(region, scene):
                self.judged.append(_Judged(region.score, evidence(region), ious.get(number, 0.0)))

    def __add__(self, other: _Tally) -> _Tally:
        return _Tally(self.judged + other.judged, self.objects + other.objects)

    def found(self, floor: float) -> int:
        """How many objects regions from the score `floor` on meet."""
        return sum(each.iou > 0 for each in self.judged if each.score >= floor - 1e-6)

    def f1(self, floor: float) -> float:
        """Of the regions from the score `floor` on."""
        shown = sum(each.score >= floor - 1e-6 for each in self.judged)
        return 2 * self.found(floor) / max(1, shown + self.objects)

    @property
    def best_floor(self) -> float:
        """From where on F1 is best."""
        return max(FLOORS, key=self.f1)


def examine(predictor: Predictor, samples: Sequence[Sample], seed: int = 0) -> ExamResult | None:
    """The result on plain views of `samples`, some with pasted objects; None where the method finds no single objects.

    The predictor's method has to be in evaluation mode; its objects are all taken, whatever was chosen before.
    """
    if not predictor.method.finds_objects:
        return None
    classes = predictor.card.classes
    predictor.method.choose_objects(0.0)
    composites, unchanged = ({share: _Tally() for share in MOST_INSIDE} for _ in range(2))
    parts = _Tally()
    for scene, image, is_composite in _exam_images(predictor, samples, seed):
        for share, tally in (composites if is_composite else unchanged).items():
            card = replace(predictor.card, most_inside=share)
            tally.add(uncalibrated_regions(image, card), classes, scene)
        parts.add(uncalibrated_regions(replace(image, fields=None), predictor.card), classes, scene)
    ways = {share: unchanged[share] + composites[share] for share in MOST_INSIDE}
    # Pasted objects lie over one another more often than real ones do. But where neighbours melt, what is taken for one
    # real object often is several, and only of pasted ones it is sure what is inside what.
    telling = ways if predictor.method.neighbours_melt else unchanged
    f1 = {share: tally.f1(tally.best_floor) for share, tally in telling.items()}
    met = {share: tally.found(tally.best_floor) for share, tally in telling.items()}
    most_inside = best_share(f1, met, max(ROUNDS, FEW * telling[1.0].objects))
    centres = ways[most_inside]
    floor = centres.best_floor
    judged = tuple((each.evidence, each.iou) for each in centres.judged)
    return ExamResult(centres.objects, floor, centres.f1(floor), parts.f1(0.0), judged, most_inside)


def best_share(f1: Mapping[float, float], found: Mapping[float, int], few: float) -> float:
    """The share of MOST_INSIDE with the best F1; 1 unless another is clearly better and loses hardly an object.

    Args: found: how many objects are found. few: of which so many may be lost.

    Example:
        >>> best_share({1.0: 0.5, 0.5: 0.6}, {1.0: 80, 0.5: 70}, few=5)
        1.0
    """
    better = [share for share in f1 if f1[share] >= f1[1.0] + CLEARLY and found[share] >= found[1.0] - few]
    return max(better, key=lambda share: f1[share], default=1.0)


def _exam_images(predictor: Predictor, samples: Sequence[Sample], seed: int) -> Iterator[tuple[Scene, ImageMaps, bool]]:
    try:
        loader = BatchLoader(
            samples,
            predictor.card.classes,
            side_px=predictor.card.config.side_px,
            batch_size=min(BATCH_SIZE, len(samples)),
            seed=seed,
            augmentation=_PLAIN,
            workers=0,
        )
        for index in range(max(1, ROUNDS * len(samples) // BATCH_SIZE)):
            with torch.no_grad(), seeded(predictor.device, seed, index):
                yield from _examined(predictor, loader.batch(index).to(predictor.device))
    except DataError:  # no image can be read; that has been said before
        return


def _examined(predictor: Predictor, batch: Batch) -> Iterator[tuple[Scene, ImageMaps, bool]]:
    """Each scene of the batch, its maps of all classes that it shows, and whether objects were pasted in."""
    classes = predictor.card.classes
    scenes, changed = training_scenes(batch, predictor.method(batch.images).maps.float())
    labelled = [set(row.nonzero()[:, 0].tolist()) for row in batch.labels]
    decoded = []
    for scene, labels in zip(scenes, labelled, strict=True):
        shown = sorted(labels | {each.label for each in scene.objects})
        sample = Sample("", Path(), tuple(classes[label] for label in shown))
        small = resize_to_square(scene.pixels, SIDE_PX)
        decoded.append(DecodedImage(sample, (SIDE_PX, SIDE_PX), (scene.pixels,), small))
    composite = [place in changed for place in range(len(scenes))]
    yield from zip(scenes, predictor.image_maps(decoded, own_labels), composite, strict=True)


def _is_unknown(region: Region, scene: Scene) -> bool:
    ignored = resize_to_square(scene.ignored.view(np.uint8), SIDE_PX) > 0
    return np.count_nonzero(region.mask & ignored) > MOSTLY * np.count_nonzero(region.mask)
