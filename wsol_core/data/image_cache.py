"""Decoded training images, resized and kept in bounded memory, with their corrected regions on the same grid.

Torch-free; threads may ask side by side. See transforms.py for random views of what is kept here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsol_core.data.images import open_image_small, open_mask, resize_to_square
from wsol_core.errors import DataError
from wsol_core.ops.masks import inside_box
from wsol_core.records import BOX_REGION, MASK_REGION, CorrectedRegion, Sample

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResizedObject:
    """One corrected object. box: (4,) xyxy in shares of the image. mask: (Q, Q) of 0 to 255; None: a box alone."""

    label: str
    box: NDArray[np.float32]
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True)
class ResizedRegion:
    """One class's corrected objects of an image as one. `kind` is BOX_REGION or MASK_REGION.

    boxes: (K, 4) xyxy in shares of the image. mask: (Q, Q) of 0 to 255, the union of the masks, or None for boxes.
    """

    kind: int
    boxes: NDArray[np.float32]
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True)
class ResizedImage:
    """`pixels`: (Q, Q, 3) RGB, the whole image resized. `objects`: what people drew in it."""

    pixels: NDArray[np.uint8]
    objects: tuple[ResizedObject, ...] = ()

    def region(self, label: str) -> ResizedRegion | None:
        """All objects of a class as one region; None where nobody drew any."""
        return united([found for found in self.objects if found.label == label])

    @property
    def size_bytes(self) -> int:
        """Memory that the pixels and masks take."""
        return self.pixels.nbytes + sum(found.mask.nbytes for found in self.objects if found.mask is not None)


class ImageCache:
    """Resized images by key, decoded when first asked for.

    The first `limit_bytes` of them stay and the rest is decoded each time: an epoch visits every image once, so
    that the least recently used would always be the next one needed.
    """

    def __init__(self, resized_px: int, limit_bytes: int) -> None:
        self.resized_px = resized_px
        self._left_bytes = limit_bytes
        self._kept: dict[Path, ResizedImage] = {}
        self._unreadable: set[Path] = set()
        self._lock = threading.Lock()

    def image(self, sample: Sample) -> ResizedImage | None:
        """The sample's image and regions; None, with one warning logged, where it cannot be read."""
        if (kept := self._kept.get(sample.path)) is not None:
            return kept
        if sample.path in self._unreadable:
            return None
        try:
            image = read_resized(sample, self.resized_px)
        except DataError as error:
            with self._lock:
                known = sample.path in self._unreadable
                self._unreadable.add(sample.path)
            if not known:
                logger.warning("Skipped: %s", error)
            return None
        with self._lock:
            if image.size_bytes <= self._left_bytes and sample.path not in self._kept:
                self._left_bytes -= image.size_bytes
                self._kept[sample.path] = image
        return image


def read_resized(sample: Sample, resized_px: int) -> ResizedImage:
    """Decode a sample; DataError where its image cannot be read. A mask that cannot be read becomes its box."""
    pixels, size_wh = open_image_small(sample.path, resized_px, sample.file)
    return ResizedImage(resize_to_square(pixels, resized_px), resized_objects(sample, size_wh, resized_px))


def resized_objects(sample: Sample, size_wh: tuple[int, int], resized_px: int) -> tuple[ResizedObject, ...]:
    """The corrected objects of a sample whose upright image has `size_wh` pixels, in their order."""
    scale = np.array([*size_wh, *size_wh], np.float32)
    found = []
    for region in sample.regions:
        box = (np.array(region.box_xyxy, np.float32) / scale).clip(0, 1)
        found.append(ResizedObject(region.label, box, _resized_mask(region, box, resized_px)))
    return tuple(found)


def united(objects: Sequence[ResizedObject]) -> ResizedRegion | None:
    """Objects of one class as one region; None of no objects."""
    if not objects:
        return None
    boxes = np.stack([found.box for found in objects])
    drawn = [found.mask for found in objects if found.mask is not None]
    if len(drawn) < len(objects):
        # Where only some objects have a mask, the union of masks would call the others background.
        return ResizedRegion(BOX_REGION, boxes, None)
    return ResizedRegion(MASK_REGION, boxes, np.maximum.reduce(drawn))


def _resized_mask(region: CorrectedRegion, box: NDArray[np.float32], resized_px: int) -> NDArray[np.uint8] | None:
    """The region's mask inside its box, or None where there is none."""
    if region.mask_path is None:
        return None
    try:
        mask = open_mask(region.mask_path)
    except DataError as error:
        logger.warning("Only the box is used: %s", error)
        return None
    h, w = mask.shape
    x0, y0, x1, y1 = (box * np.array([w, h, w, h])).tolist()
    inside = inside_box(mask, (x0, y0, x1, y1))
    if not inside.any():
        logger.warning("Only the box is used: mask %s is empty inside the box of %s.", region.mask_path, region.label)
        return None
    return resize_to_square(inside, resized_px)
