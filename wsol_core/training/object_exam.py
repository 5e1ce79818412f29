"""An exam on a project's own images: from which probability on a centre is an object, and whether parts are better.

No box by people is needed: what is true of an image is what labels and maps tell (`pseudo_objects`), exactly where
objects were pasted in, and what people drew where they drew some. Places of which nothing is known do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from wsol_core.data.batch import Batch
from wsol_core.data.composites import Scene
from wsol_core.data.images import resize_to_square
from wsol_core.data.loader import BatchLoader
from wsol_core.data.normalization import to_images
from wsol_core.data.transforms import Augmentation
from wsol_core.errors import DataError
from wsol_core.localization.image_maps import ImageMaps
from wsol_core.localization.instances import ObjectFields
from wsol_core.localization.predictor import Predictor
from wsol_core.localization.refinement import SIDE_PX, final_map
from wsol_core.methods.base import ObjectMaps, Prediction
from wsol_core.methods.pseudo_objects import training_scenes
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.maps import competing
from wsol_core.ops.masks import bounds
from wsol_core.ops.matching import LOOSE_IOU, match
from wsol_core.records import Region, Sample
from wsol_core.training.step import seeded

FLOORS = tuple(round(0.1 + 0.05 * step, 2) for step in range(13))  # probabilities of a centre that are tried
FEWEST_OBJECTS = 8  # known ones; fewer do not tell
BATCH_SIZE = 16
# Of the parts' F1 that centres need. What is true of an image without corrections are parts of maps that look like one
# object, so parts pass nearly as they are: .79 to .44 where centres found AP50 .37 and parts .28 of drawn neighbours.
HANDICAP = 0.5
MOSTLY = 0.5  # of a region that lies where nothing is known: it is neither right nor wrong
_PLAIN = Augmentation(margin_px=0, mirror=0.0, jitter=0.0)


@dataclass(frozen=True, slots=True)
class ExamResult:
    """How well objects are found. objects: known ones in the exam. floor: the best probability of a centre.

    by_centres, by_parts: F1 at IoU 0.5 of objects from `floor` on, and of the connected parts of maps.
    """

    objects: int
    floor: float
    by_centres: float
    by_parts: float

    @property
    def chosen(self) -> float | None:
        """What `WsolMethod.choose_objects` is to be called with."""
        return self.floor if self.objects >= FEWEST_OBJECTS and self.by_centres >= HANDICAP * self.by_parts else None


@dataclass(slots=True)
class _Tally:
    """Scores of regions, whether each is right, and how many objects there were to be found."""

    scores: list[float]
    right: list[bool]
    objects: int = 0

    def add(self, regions: Sequence[Region], classes: Sequence[str], scene: Scene) -> None:
        side = scene.ignored.shape[0]
        truth = [np.array(bounds(each.mask)) * SIDE_PX / side for each in scene.objects]
        found = np.array([region.box_xyxy for region in regions], np.float64).reshape(-1, 4)
        ious = box_iou(found, np.array(truth, np.float64).reshape(-1, 4), inclusive=False)
        same = [[region.label == classes[each.label] for each in scene.objects] for region in regions]
        matched = {pair.found for pair in match(np.where(np.array(same, bool).reshape(ious.shape), ious, 0), LOOSE_IOU)}
        self.objects += len(truth)
        for number, region in enumerate(regions):
            if number in matched or not _is_unknown(region, scene):
                self.scores.append(region.score)
                self.right.append(number in matched)

    def f1(self, floor: float) -> float:
        """Of the regions from the score `floor` on."""
        kept = [right for score, right in zip(self.scores, self.right, strict=True) if score >= floor - 1e-6]
        return 2 * sum(kept) / max(1, len(kept) + self.objects)


def examine(predictor: Predictor, samples: Sequence[Sample], seed: int = 0) -> ExamResult | None:
    """The result on plain views of `samples`, some with pasted objects; None where the method finds no single objects.

    The predictor's method has to be in evaluation mode; its objects are all taken, whatever was chosen before.
    """
    if not predictor.method.finds_objects:
        return None
    classes = predictor.card.classes
    predictor.method.choose_objects(0.0)
    centres, parts = _Tally([], []), _Tally([], [])
    for scene, image in _exam_images(predictor, samples, seed):
        centres.add(predictor.regions(image), classes, scene)
        parts.add(predictor.regions(replace(image, fields=None)), classes, scene)
    floor = max(FLOORS, key=centres.f1)
    return ExamResult(centres.objects, floor, centres.f1(floor), parts.f1(0.0))


def _exam_images(predictor: Predictor, samples: Sequence[Sample], seed: int) -> Iterator[tuple[Scene, ImageMaps]]:
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
        for index in range(max(1, len(samples) // BATCH_SIZE)):
            with torch.no_grad(), seeded(predictor.device, seed, index):
                yield from _examined(predictor, loader.batch(index).to(predictor.device))
    except DataError:  # no image can be read; that has been said before
        return


def _examined(predictor: Predictor, batch: Batch) -> Iterator[tuple[Scene, ImageMaps]]:
    scenes, _ = training_scenes(batch, predictor.method(batch.images).maps.float())
    images = to_images(np.stack([scene.pixels for scene in scenes]), predictor.device)
    prediction: Prediction = predictor.method(images.to(memory_format=torch.channels_last))
    for row, scene in enumerate(scenes):
        labels = {each.label for each in scene.objects} | set(batch.labels[row].nonzero()[:, 0].tolist())
        yield scene, _image_maps(predictor, scene, sorted(labels), prediction, row)


def _image_maps(
    predictor: Predictor, scene: Scene, labels: Sequence[int], prediction: Prediction, row: int
) -> ImageMaps:
    """The scene as prediction sees it, of which somebody says that `labels` are there."""
    classes, objects = predictor.card.classes, prediction.objects
    chosen = labels if prediction.maps.shape[1] > 1 else [0] * len(labels)
    maps = competing(prediction.maps[row, chosen].float(), torch.zeros(len(labels), dtype=torch.long), 1)
    pixels = resize_to_square(scene.pixels, SIDE_PX)
    guide = pixels if predictor.card.refine_edges else None
    return ImageMaps(
        Sample("", Path(), ()),
        (SIDE_PX, SIDE_PX),
        pixels,
        dict.fromkeys(classes, 1.0),
        {classes[label]: final_map(values, guide) for label, values in zip(labels, maps.cpu().numpy(), strict=True)},
        given=True,
        fields=None if objects is None else _fields(objects, row),
    )


def _fields(objects: ObjectMaps, row: int) -> ObjectFields:
    return ObjectFields(objects.centres[row].cpu().numpy(), objects.boxes[row].cpu().numpy(), objects.least_centre)


def _is_unknown(region: Region, scene: Scene) -> bool:
    ignored = resize_to_square(scene.ignored.view(np.uint8), SIDE_PX) > 0
    return np.count_nonzero(region.mask & ignored) > MOSTLY * np.count_nonzero(region.mask)
