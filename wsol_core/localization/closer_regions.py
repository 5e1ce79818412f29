"""A predictor's regions of an image file, looked at again from closer up; see closer_look.py for how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wsol_core.data.images import RgbPixels, open_image_small, resize_to_square
from wsol_core.errors import DataError
from wsol_core.localization.closer_look import clearest, closer_looks
from wsol_core.localization.inference import DecodedImage
from wsol_core.localization.refinement import SIDE_PX
from wsol_core.localization.regions import enlarged, extract_regions
from wsol_core.records import Localization, Region, Sample, Unreadable

if TYPE_CHECKING:
    from wsol_core.localization.predictor import Predictor

IMAGE_SIDE_PX = 1344  # of what windows are taken from, where the image has so many: six times 224
MOST_CROPS = 32  # that pass the network together


def from_closer_up(predictor: Predictor, sample: Sample, found: Localization) -> Localization:
    """The same with each region as the look sees it whose outline stands out most."""
    pixels = _large_pixels(predictor, sample, found)
    if pixels is None:
        return found
    seen = _looks(predictor, pixels, found.regions)
    return replace(found, regions=tuple(_in_size(clearest(pixels, looks), found.size_wh) for looks in seen))


def looks_of(predictor: Predictor, samples: Sequence[Sample]) -> Iterator[tuple[RgbPixels, list[Region]]]:
    """Of each object that is found in the samples, of their own labels: the image, and every look at the object.

    Images that show no more from closer up are left out, and those that cannot be read.
    """
    first = copy(predictor)
    first.card = replace(predictor.card, looks_closer=False)
    for sample, found in zip(samples, first.localize(samples, lambda sample: sample.labels), strict=True):
        if not isinstance(found, Unreadable) and (pixels := _large_pixels(predictor, sample, found)) is not None:
            for looks in _looks(predictor, pixels, found.regions):
                yield pixels, looks


def _large_pixels(predictor: Predictor, sample: Sample, found: Localization) -> RgbPixels | None:
    """The image as closer looks see it; None where it has no more pixels than the first look saw, or shows nothing."""
    if not found.regions or min(found.size_wh) <= predictor.card.config.side_px:
        return None
    try:
        return open_image_small(sample.path, IMAGE_SIDE_PX, sample.file)[0]
    except DataError:  # it could be read a moment ago
        return None


def _looks(predictor: Predictor, pixels: RgbPixels, regions: Sequence[Region]) -> list[list[Region]]:
    here = pixels.shape[1], pixels.shape[0]
    return closer_looks(pixels, [_in_size(region, here) for region in regions], partial(_most_certain, predictor))


def _most_certain(predictor: Predictor, crops: Sequence[RgbPixels], labels: Sequence[str]) -> list[Region | None]:
    """Of each crop, the most certain connected part of its class's map."""
    side, found = predictor.card.config.side_px, list[Region | None]()
    decoded = [
        DecodedImage(
            Sample("", Path(), (label,)),
            (crop.shape[1], crop.shape[0]),
            (resize_to_square(crop, side),),
            resize_to_square(crop, SIDE_PX),
        )
        for crop, label in zip(crops, labels, strict=True)
    ]
    for start in range(0, len(decoded), MOST_CROPS):
        for image in predictor.image_maps(decoded[start : start + MOST_CROPS], lambda sample: sample.labels):
            ((label, score_map),) = image.maps.items()
            parts = extract_regions(score_map, image.size_wh, label, predictor.card.threshold_of(label), 1.0)
            found.append(parts[0] if parts else None)
    return found


def _in_size(region: Region, size_wh: tuple[int, int]) -> Region:
    height, width = region.mask.shape
    return region if (width, height) == size_wh else enlarged(region, size_wh)
