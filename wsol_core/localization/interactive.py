"""Localize the one object that a person points at, by a box drawn around it or a click on it.

What is outside a drawn box is certainly background; the map of a crop and a graph cut say what inside is the object.
Further clicks and a turned box's outline (hints.py) hold for the cut, and for what comes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.data.images import RgbPixels, open_image, resize_to_square
from wsol_core.errors import DataError
from wsol_core.localization.hints import NO_HINTS, Hints
from wsol_core.localization.image_maps import RawMap
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import Predictor
from wsol_core.localization.refinement import SIDE_PX, final_map
from wsol_core.localization.regions import extract_regions, region_of_mask, with_margin
from wsol_core.localization.window import Window
from wsol_core.ops.grabcut import CERTAIN_BACKGROUND, CERTAIN_FOREGROUND, graph_cut
from wsol_core.ops.maps import min_max, resize
from wsol_core.records import BoxXyxy, FloatMap, Region

# docs/methods.md says how each number was chosen; `python -m benchmarks.ablation` lists what it can measure.
MARGIN = 0.4  # of the box, on each side of it: the network needs surroundings, and the cut colours that are none of it
CUT_SIDE_PX = 224  # of the crop's longer side; half of it loses up to a point of IoU
MAP_LEVELS = (0.0, 0.4, 0.85, 1.0)  # of the map in the box: its least, likely object from here, certainly object, most
# What they become for the cut, whose own levels are for whole images. Nothing in the box is certain background.
CUT_LEVELS = (CERTAIN_BACKGROUND + 0.01, 0.5, CERTAIN_FOREGROUND, 1.0)
GOOD_EXTENT = 0.5  # of the drawn box that the object's own fills; the map of one that fills less has likely missed it
LEAST_EXTENT = 0.15  # who draws a box does not mean a speck in it
COLOUR_ITERATIONS = 5  # of a cut by colours alone, which starts from the whole box
COLOUR_LEVEL = 0.6  # how sure a region is that the map says nothing of
POINT_REACHES = (1.0, 0.25, 0.125)  # of the image's sides, each way: where a clicked object is looked for, in turn


@dataclass(frozen=True, slots=True)
class BoxPrompt:
    """A box around one object: (x0, y0, x1, y1) in pixels of the upright image, x1 and y1 exclusive.

    Example:
        >>> prompt = BoxPrompt((40, 30, 200, 180))
    """

    box_xyxy: BoxXyxy


@dataclass(frozen=True, slots=True)
class PointPrompt:
    """A point on one object, in pixels of the upright image.

    Example:
        >>> prompt = PointPrompt(120, 95)
    """

    x: float
    y: float


def localize_prompted(
    predictor: Predictor, path: Path, prompt: BoxPrompt | PointPrompt, label: str | None, hints: Hints = NO_HINTS
) -> Region | None:
    """Find the object in a drawn box or under a point.

    Args:
        predictor: A model, whose maps are used at its own input side.
        path: The image.
        prompt: Where the object is, in pixels of the upright image.
        label: The object's class. The region carries it even where the model does not know it; an unknown class, and
            None, are localized as the most probable class of the box's surroundings or of the image.
        hints: Further clicks on the object and beside it, and its outline.

    Returns:
        The object's region. A box always has one, in one piece and inside the box, though it may be all of it. None
        where no object is found under a point, and where the hints leave nothing of it.

    Raises:
        DataError: The image cannot be read, the box holds no pixel of it, or the point lies outside.

    Example:
        >>> predictor = Predictor.open(Path("model"))
        >>> region = localize_prompted(predictor, Path("crab.jpg"), BoxPrompt((40, 30, 200, 160)), "crab")
        >>> clicked = localize_prompted(predictor, Path("crab.jpg"), PointPrompt(120, 90), None)
    """
    pixels = open_image(path)
    hints = hints.within((pixels.shape[1], pixels.shape[0]))
    if isinstance(prompt, BoxPrompt):
        box = _clipped(prompt.box_xyxy, pixels, path.name)
        found: Region | None = _in_box(predictor, pixels, box, label, hints)
    else:
        found = _at_point(predictor, pixels, prompt, path.name, label)
    if found is not None and hints != NO_HINTS:
        found = hints.applied_to(_grown(predictor, pixels, found, path.name, hints), pixels)
    if found is not None and isinstance(prompt, PointPrompt):
        found = with_margin(found, predictor.card.box_margin)  # a drawn box is already as its drawer likes it
    return replace(found, label=label) if found is not None and label is not None else found


def _clipped(box: BoxXyxy, pixels: RgbPixels, name: str) -> BoxXyxy:
    height, width = pixels.shape[:2]
    if not all(math.isfinite(value) for value in box):
        raise DataError(f"Box {box} in {name} is not finite; draw it again.")
    x0, y0, x1, y1 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], width), min(box[3], height)
    if x0 >= x1 or y0 >= y1:
        raise DataError(f"Box {box} holds nothing of {name}, which is {width} x {height}; it needs x0 < x1, y0 < y1.")
    return x0, y0, x1, y1


def _in_box(
    predictor: Predictor, pixels: RgbPixels, box: BoxXyxy, label: str | None, hints: Hints = NO_HINTS
) -> Region:
    inner = Window.touched_by(box, (pixels.shape[1], pixels.shape[0]))
    outer = inner.grown(MARGIN)
    crop = outer.crop(pixels)
    seen = predictor.class_activation_map(crop, label)
    for_cut = replace(hints, outside=())  # a small hole around each would be all that comes of those
    maps = _box_maps(crop, seen.values, inner.seen_from(outer), lambda size_wh: for_cut.drawn(outer, size_wh))
    placed = predictor.card.judged(inner.place(_best_filling(maps, inner, seen)))
    tight = placed.box_xyxy  # whole pixels; the drawn box may end within one
    inside = (max(tight[0], box[0]), max(tight[1], box[1]), min(tight[2], box[2]), min(tight[3], box[3]))
    return replace(placed, box_xyxy=inside)


def _best_filling(maps: Iterable[FloatMap], box: Window, seen: RawMap) -> Region:
    """The region of the first map that fills the box well, else of the one that fills most of it, else all of it."""
    best: list[Region] = []
    extent = LEAST_EXTENT
    for box_map in maps:
        found = extract_regions(box_map, box.size_wh, seen.label, 0.5, seen.presence, max_regions=1)
        if found and (filled := _area(found[0].box_xyxy) / box.area) >= extent:
            best, extent = found, filled
        if extent >= GOOD_EXTENT:
            break
    whole = np.full(box.size_wh[::-1], COLOUR_LEVEL, np.float32)
    return (best or extract_regions(whole, box.size_wh, seen.label, 0.5, seen.presence))[0]


def _box_maps(
    crop: RgbPixels, raw: FloatMap, box: Window, hints: Callable[[tuple[int, int]], NDArray[np.int8]]
) -> Iterator[FloatMap]:
    """Maps of the pixels of `box`, a window of the crop, above 0.5 on the object, as `_object_maps`.

    Args: crop: (h, w, 3). raw: the network's map of it, of any size. hints: gives what is said of the crop's pixels in
        a certain (width, height).
    """
    h, w = crop.shape[:2]
    scale = min(1.0, CUT_SIDE_PX / max(h, w))
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    across, down = size[0] / w, size[1] / h
    rows = slice(int(box.y0 * down), math.ceil(box.y1 * down))
    columns = slice(int(box.x0 * across), math.ceil(box.x1 * across))
    image = resize(crop, size, cv2.INTER_AREA)
    activation = resize(raw, size, cv2.INTER_LINEAR)
    for found in _object_maps(image, activation, (rows, columns), hints(size)):
        full = resize(found, (w, h), cv2.INTER_LINEAR)
        yield np.ascontiguousarray(full[box.y0 : box.y1, box.x0 : box.x1])


def _object_maps(
    image: RgbPixels, activation: FloatMap, box: tuple[slice, slice], said: NDArray[np.int8]
) -> Iterator[FloatMap]:
    """Maps above 0.5 on the object in the box: from the activation map and the colours, then from the colours alone.

    The second is left out where the colours tell nothing in the box apart.
    Args: said: (h, w), 1 on the object, -1 where it is not, 0 where a person said nothing.
    """
    start, soft = np.zeros_like(activation), np.zeros_like(activation)
    soft[box] = min_max(activation[box])
    start[box] = np.interp(soft[box], MAP_LEVELS, CUT_LEVELS)
    start[said != 0] = said[said != 0] > 0
    cut = graph_cut(image, start) > 0.5
    yield np.asarray((soft + cut) / 2, np.float32)
    start[box] = COLOUR_LEVEL
    start[said != 0] = said[said != 0] > 0
    by_colour = graph_cut(image, start, COLOUR_ITERATIONS) > 0.5
    if not by_colour[box].all():
        yield np.asarray(COLOUR_LEVEL * by_colour, np.float32)


def _grown(predictor: Predictor, pixels: RgbPixels, found: Region, name: str, hints: Hints) -> Region:
    """The region together with what is under those clicks on the object that it missed."""
    mask = found.mask
    for x, y in hints.inside:
        if not mask[int(y), int(x)]:
            part = _at_point(predictor, pixels, PointPrompt(x, y), name, found.label)
            mask = mask if part is None else mask | part.mask
    return found if mask is found.mask else region_of_mask(mask, found.label, found.score)


def _at_point(
    predictor: Predictor, pixels: RgbPixels, point: PointPrompt, name: str, label: str | None
) -> Region | None:
    height, width = pixels.shape[:2]
    if not (0 <= point.x < width and 0 <= point.y < height):
        raise DataError(f"Point ({point.x}, {point.y}) is not in {name}, which is {width} x {height}; click again.")
    for reach in POINT_REACHES:
        around = (point.x - reach * width, point.y - reach * height, point.x + reach * width, point.y + reach * height)
        window = Window.touched_by(around, (width, height))
        crop = window.crop(pixels)
        seen = predictor.class_activation_map(crop, label)
        label = seen.label  # where none was given, the whole image's class is looked for closer by, too
        for region in _regions(predictor.card, crop, seen):
            if region.mask[int(point.y) - window.y0, int(point.x) - window.x0]:
                found = window.place(region)
                closer = _in_box(predictor, pixels, found.box_xyxy, label)
                return closer if closer.mask[int(point.y), int(point.x)] else found
    return None


def _regions(card: ModelCard, crop: RgbPixels, seen: RawMap) -> list[Region]:
    """The regions in a part of an image, as prediction finds them in whole images."""
    final = final_map(seen.values, resize_to_square(crop, SIDE_PX) if card.refine_edges else None)
    size_wh, threshold = (crop.shape[1], crop.shape[0]), card.threshold_of(seen.label)
    found = extract_regions(final, size_wh, seen.label, threshold, seen.presence)
    return [card.judged(region) for region in found]


def _area(box: BoxXyxy) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
