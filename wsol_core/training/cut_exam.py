"""Whether a project's objects are found more precisely by cuts of each: whether another view gives the same box.

No box by people is needed. Where cuts follow an object's edge they find it again in the mirrored and smaller image;
where they follow stripes or shadows, they fit one view and not the other, and the maps alone are steadier.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.localization.image_maps import ImageMaps
from wsol_core.localization.inference import DecodedImage, decode
from wsol_core.localization.predictor import Predictor, own_labels
from wsol_core.localization.refinement import SIDE_PX
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.matching import LOOSE_IOU
from wsol_core.records import Region, Sample, Unreadable

logger = logging.getLogger(__name__)

MOST_IMAGES, BATCH = 48, 16
ZOOM = 0.9  # of the other view
FEWEST_OBJECTS = 16  # in both views; fewer do not tell
STEADIER = 0.01  # mean IoU by which cuts have to agree better


def cuts_are_steadier(predictor: Predictor, samples: Sequence[Sample]) -> bool:
    """Whether boxes of cut objects agree clearly better with those of another view, by their mean IoU."""
    again: list[tuple[float, float]] = []
    samples = samples[:MOST_IMAGES]
    for start in range(0, len(samples), BATCH):
        read = [decode(sample, (predictor.card.config.side_px,)) for sample in samples[start : start + BATCH]]
        images = [image for image in read if not isinstance(image, Unreadable)]
        if not images:
            continue
        plain = predictor.image_maps(images, own_labels)
        other = predictor.image_maps([_other_view(image) for image in images], own_labels)
        for pair in zip(plain, other, strict=True):
            again += _found_again(predictor, *pair)
    if len(again) < FEWEST_OBJECTS:
        return False
    without, with_cuts = np.mean(again, axis=0)
    logger.info(
        "Boxes of %d objects agree with those in another view by IoU %.3f without cuts, and by %.3f with.",
        len(again),
        without,
        with_cuts,
    )
    return bool(with_cuts - without >= STEADIER)


def _found_again(predictor: Predictor, plain: ImageMaps, other: ImageMaps) -> list[tuple[float, float]]:
    """Of each object in both views, the IoU of its boxes without cuts and with them."""
    found = []
    for cut in (False, True):
        judge = copy(predictor)
        judge.card = replace(predictor.card, cut_objects=cut)
        small = (replace(image, size_wh=(SIDE_PX, SIDE_PX)) for image in (plain, other))
        found.append([judge.uncalibrated_regions(image) for image in small])
    (first, second), (first_cut, second_cut) = found
    again = []
    for number, region in enumerate(first):
        ious = [_iou(region, each) if each.label == region.label else 0.0 for each in second]
        best = int(np.argmax(ious)) if ious else 0
        if ious and ious[best] >= LOOSE_IOU:
            again.append((ious[best], _iou(first_cut[number], second_cut[best])))
    return again


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
