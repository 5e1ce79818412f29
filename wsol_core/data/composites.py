"""Composites: images that a project makes of its own objects, several at once and touching, whose truth is exact.

Cut-out objects are pasted into other images of the project, which keep their own objects; after Dwibedi et al., "Cut,
Paste and Learn", ICCV 2017. Arrays in, arrays out; torch-free. methods/pseudo_objects.py decides what is cut out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from wsol_core.ops.masks import bounds, window_of
from wsol_core.records import BoolMask

SCALES = (0.45, 1.2)  # of an object's own size, the same for all pastes of an image
MOST_PASTES = 2  # with more, one-object projects find objects everywhere: AP50 .73 with 2, .57 with 4 on raccoon1
SAME_CLASS = 0.7  # of the pastes
TOUCHING = 0.6  # of the pastes are put beside an object that is there already
MOST_OVERLAP = 0.2  # of the smaller of two objects
LEAST_VISIBLE = 0.55  # of an object; one that is hidden further is ignored
LEAST_PIXELS = 60  # of an object at the composite's side
PATCHES = 0.2  # of the pastes are patches of background in an object's shape: seams must not be what is found
STEP_PX = 4  # by which an object is moved away from its neighbour


@dataclass(frozen=True, slots=True)
class Cutout:
    """An object without its background. pixels: (h, w, 3) RGB. mask: (h, w). label: -1 for a patch of background."""

    pixels: NDArray[np.uint8]
    mask: BoolMask
    label: int


@dataclass(frozen=True, slots=True)
class PlacedObject:
    """An object of an image. mask: (S, S), its visible part. whole: how many pixels it has with its hidden part."""

    label: int
    mask: BoolMask
    whole: int

    @property
    def visible(self) -> float:
        """The share that can be seen."""
        return np.count_nonzero(self.mask) / max(1, self.whole)


@dataclass(frozen=True, slots=True)
class Scene:
    """An image with what is known of it. pixels: (S, S, 3) RGB. ignored: (S, S), where nothing is known."""

    pixels: NDArray[np.uint8]
    objects: tuple[PlacedObject, ...]
    ignored: BoolMask


def compose(canvas: Scene, cutouts: Sequence[Cutout], rng: Generator) -> Scene:
    """The canvas with one or two of `cutouts` pasted into it; without any, the canvas itself.

    Returns: a scene whose objects are at least 55 % visible; others, the canvas's own included, are ignored.
    """
    pixels, ignored, objects = canvas.pixels.copy(), canvas.ignored.copy(), list(canvas.objects)
    scale = float(np.exp(rng.uniform(*np.log(SCALES))))
    for cutout in _chosen(cutouts, rng):
        found = _turned(cutout, scale * float(np.exp(rng.uniform(-0.15, 0.15))), rng)
        if found is None:
            continue
        place = _place(found, objects, pixels.shape[0], rng)
        if place is None:
            continue
        mask = paste(pixels, found, place, rng)
        ignored &= ~mask
        objects = [replace(other, mask=other.mask & ~mask) for other in objects]
        if cutout.label >= 0:
            objects.append(PlacedObject(cutout.label, mask, int(np.count_nonzero(found.mask))))
    for other in objects:
        if other.visible < LEAST_VISIBLE:
            ignored |= other.mask
    return Scene(pixels, tuple(other for other in objects if other.visible >= LEAST_VISIBLE), ignored)


def cut_out(pixels: NDArray[np.uint8], mask: BoolMask, label: int) -> Cutout:
    """The object under a mask (S, S) that is not empty."""
    window = window_of(bounds(mask))
    return Cutout(np.ascontiguousarray(pixels[window]), np.ascontiguousarray(mask[window]), label)


def _chosen(cutouts: Sequence[Cutout], rng: Generator) -> list[Cutout]:
    """Some of them, most of one class; a cutout may come twice."""
    objects = [found for found in cutouts if found.label >= 0]
    patches = [found for found in cutouts if found.label < 0]
    if not objects:
        return []
    label = objects[int(rng.integers(len(objects)))].label
    own = [found for found in objects if found.label == label]
    chosen = []
    for _ in range(int(rng.integers(1, MOST_PASTES + 1))):
        among = own if rng.random() < SAME_CLASS else objects
        if patches and rng.random() < PATCHES:
            among = patches
        chosen.append(among[int(rng.integers(len(among)))])
    return chosen


def _turned(cutout: Cutout, scale: float, rng: Generator) -> Cutout | None:
    """The cutout in another size, mirrored or not, with other light; None where it would be too small."""
    h, w = cutout.mask.shape
    size = max(1, round(w * scale)), max(1, round(h * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = cv2.resize(cutout.pixels, size, interpolation=how)
    mask = cv2.resize(cutout.mask.view(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
    if rng.random() < 0.5:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    gain, shift = rng.uniform(0.85, 1.15), rng.uniform(-15, 15)
    pixels = np.clip(pixels * gain + shift, 0, 255).astype(np.uint8)
    if np.count_nonzero(mask) < LEAST_PIXELS:
        return None
    return Cutout(np.ascontiguousarray(pixels), np.ascontiguousarray(mask), cutout.label)


def _place(found: Cutout, objects: Sequence[PlacedObject], side: int, rng: Generator) -> tuple[int, int] | None:
    """Where its upper left corner goes: beside another object, or anywhere; None where it would hide too much."""
    h, w = found.mask.shape
    for _ in range(3):
        if objects and rng.random() < TOUCHING:
            place = _beside(found, objects, side, rng)
            if place is not None:
                return place
        x = int(rng.integers(-w // 5, max(-w // 5 + 1, side - w + w // 5)))
        y = int(rng.integers(-h // 5, max(-h // 5 + 1, side - h + h // 5)))
        if _fits(found, (x, y), objects, side):
            return x, y
    return None


def _beside(found: Cutout, objects: Sequence[PlacedObject], side: int, rng: Generator) -> tuple[int, int] | None:
    """A place next to an object, from whose middle it is moved away until it hides little."""
    other = objects[int(rng.integers(len(objects)))]
    h, w = found.mask.shape
    x, y, ow, oh = cv2.boundingRect(other.mask.view(np.uint8))
    angle = rng.uniform(0, 2 * math.pi)
    dx, dy = math.cos(angle), math.sin(angle)
    start = 0.3 * min(ow + w, oh + h) / 2
    for step in range(60):
        reach = start + STEP_PX * step
        place = round(x + ow / 2 + reach * dx - w / 2), round(y + oh / 2 + reach * dy - h / 2)
        if _fits(found, place, objects, side):
            return place
    return None


def _fits(found: Cutout, place: tuple[int, int], objects: Sequence[PlacedObject], side: int) -> bool:
    """Whether most of it is in the image, and no two objects overlap too much."""
    seen, window = _window(found.mask, place, side)
    size = np.count_nonzero(found.mask)
    if np.count_nonzero(seen) < 0.75 * size:
        return False
    for other in objects:
        shared = np.count_nonzero(other.mask[window] & seen)
        if shared > MOST_OVERLAP * min(size, max(1, np.count_nonzero(other.mask))):
            return False
    return True


def _window(mask: BoolMask, place: tuple[int, int], side: int) -> tuple[BoolMask, tuple[slice, slice]]:
    """The part of a mask that lies in the image when put at `place`, and where that is."""
    x, y = place
    h, w = mask.shape
    x0, y0, x1, y1 = max(0, x), max(0, y), min(side, x + w), min(side, y + h)
    if x1 <= x0 or y1 <= y0:
        return mask[:0, :0], (slice(0, 0), slice(0, 0))
    return mask[y0 - y : y1 - y, x0 - x : x1 - x], (slice(y0, y1), slice(x0, x1))


def paste(pixels: NDArray[np.uint8], found: Cutout, place: tuple[int, int], rng: Generator) -> BoolMask:
    """Lays the cutout over `pixels`, in place, with a soft edge; its mask (S, S) there."""
    side = pixels.shape[0]
    seen, window = _window(found.mask, place, side)
    covered = np.zeros((side, side), np.bool_)
    covered[window] = seen
    inner = cv2.erode(covered.view(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    alpha = cv2.GaussianBlur(inner, (0, 0), float(rng.uniform(0.5, 1.2)))[window][..., None]
    x, y = place
    own = found.pixels[window[0].start - y : window[0].stop - y, window[1].start - x : window[1].stop - x]
    mixed = alpha * own + (1 - alpha) * pixels[window]
    pixels[window] = np.clip(mixed + rng.normal(0, 2, mixed.shape), 0, 255).astype(np.uint8)
    return covered
