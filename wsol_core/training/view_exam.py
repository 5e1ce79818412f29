"""How a project's objects are best made of centres and maps: so that another view of an image gives the same boxes.

No box by people is needed. Where a cut follows an object's edge, it finds that again in the mirrored and smaller image;
where it follows stripes or shadows, it fits one view and not the other, and the map alone is steadier. It is the same
with what sticks out of an object.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.localization.image_maps import ImageMaps
from wsol_core.localization.image_regions import uncalibrated_regions
from wsol_core.localization.inference import DecodedImage, decode
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import Predictor, own_labels
from wsol_core.localization.refinement import SIDE_PX
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.matching import LOOSE_IOU
from wsol_core.records import Region, Sample, Unreadable

logger = logging.getLogger(__name__)

MOST_IMAGES, BATCH = 48, 16
ZOOM = 0.9  # of the other view
FEWEST_OBJECTS = 16  # in both views; fewer do not tell
STEADIER = 0.013  # mean IoU by which cuts have to agree better than no cuts
UNSTEADY = 0.01  # mean IoU by which whole parts have to agree worse than pieces, where they join neighbours


class Way(NamedTuple):
    """How regions are made of objects; the entries of a card with the same names."""

    whole_parts: bool = False
    cut_objects: bool = False

    def of(self, card: ModelCard) -> ModelCard:
        """The card with this way."""
        return replace(card, whole_parts=self.whole_parts, cut_objects=self.cut_objects)


PLAIN = Way()
WAYS = (PLAIN, Way(cut_objects=True), Way(whole_parts=True))


def steadiest_way(predictor: Predictor, samples: Sequence[Sample]) -> Way:
    """The steps that another view speaks for, by the mean IoU of its boxes with the image's own.

    A cut has to agree clearly better; whole parts are taken where they do not agree clearly worse, since what sticks
    out of an object is hard to find again. `PLAIN` where few objects are found in both views.
    """
    cards = [way.of(predictor.card) for way in WAYS]
    agreed: list[list[float]] = []
    samples = samples[:MOST_IMAGES]
    for start in range(0, len(samples), BATCH):
        read = [decode(sample, (predictor.card.config.side_px,)) for sample in samples[start : start + BATCH]]
        images = [image for image in read if not isinstance(image, Unreadable)]
        if not images:
            continue
        plain = predictor.image_maps(images, own_labels)
        other = predictor.image_maps([_other_view(image) for image in images], own_labels)
        for pair in zip(plain, other, strict=True):
            agreed += _agreed(cards, *pair)
    if len(agreed) < FEWEST_OBJECTS:
        return PLAIN
    means = np.mean(agreed, axis=0)
    plain_iou, cut_iou, whole_iou = (float(mean) for mean in means)
    logger.info(
        "Boxes of %d objects agree with those in another view by IoU %.3f, cut by %.3f, as whole parts by %.3f.",
        len(agreed),
        plain_iou,
        cut_iou,
        whole_iou,
    )
    return Way(whole_iou > plain_iou - UNSTEADY, cut_iou >= plain_iou + STEADIER)


def _agreed(cards: Sequence[ModelCard], plain: ImageMaps, other: ImageMaps) -> list[list[float]]:
    """Of each object in both views, the IoU of its boxes by each of the cards, which all list the same objects."""
    first, second = (
        [uncalibrated_regions(replace(image, size_wh=(SIDE_PX, SIDE_PX)), card) for card in cards]
        for image in (plain, other)
    )
    agreed = []
    for number, region in enumerate(first[0]):
        ious = [_iou(region, each) if each.label == region.label else 0.0 for each in second[0]]
        best = int(np.argmax(ious)) if ious else 0
        if ious and ious[best] >= LOOSE_IOU:
            agreed.append([_iou(mine[number], theirs[best]) for mine, theirs in zip(first, second, strict=True)])
    return agreed


def _iou(plain: Region, other: Region) -> float:
    """Of a box, and of one in the other view."""
    x0, y0, x1, y1 = (np.array(other.box_xyxy) / SIDE_PX - 0.5) / ZOOM + 0.5
    back = np.clip([1 - x1, y0, 1 - x0, y1], 0, 1) * SIDE_PX
    return float(box_iou(np.array([plain.box_xyxy], np.float64), back[None], inclusive=False)[0, 0])


def _other_view(image: DecodedImage) -> DecodedImage:
    return replace(image, inputs=tuple(map(_mirrored_smaller, image.inputs)), pixels=_mirrored_smaller(image.pixels))


def _mirrored_smaller(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    side = pixels.shape[0]
    middle = (side - 1) / 2
    view = np.array([[-ZOOM, 0, (1 + ZOOM) * middle], [0, ZOOM, (1 - ZOOM) * middle]])
    return np.asarray(cv2.warpAffine(pixels, view, (side, side), borderMode=cv2.BORDER_REFLECT_101), np.uint8)
