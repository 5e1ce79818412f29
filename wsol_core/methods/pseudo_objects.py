"""Scenes of a batch: what labels, maps and people's corrections tell of the objects of each image. No network here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from wsol_core.cores import core_pool
from wsol_core.data.batch import Batch
from wsol_core.data.composites import Cutout, PlacedObject, Scene, compose, cut_out
from wsol_core.methods.least_areas import least_areas
from wsol_core.methods.pseudo_masks import pseudo_masks, to_pixels
from wsol_core.networks.feature_pyramid import resized
from wsol_core.ops.maps import competing
from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask

SMALLEST, LARGEST = 0.004, 0.7  # of the image: a part that may be an object
LEAST_SOLIDITY, CUTOUT_SOLIDITY = 0.65, 0.8  # of its convex hull that a part fills: less is two objects, or a piece
MOST_EDGE = 0.2  # of a cutout's outline that lies at the image's edge
UNSURE = 0.15  # of a class's map: from there on a place without a known object tells nothing
LEAST_SHARE = 0.7  # of a part's class among the image's classes
COMPOSED = 0.4  # of the scenes: the others stay as they are
GOOD_FIT = 0.6  # IoU of a drawn box and the part of a map inside it, which then is the object's mask


PartsJudge = Callable[[Sequence[int], Sequence[PlacedObject]], NDArray[np.bool_]]
"""Which parts of maps are kept, given the image of each and the parts."""


@dataclass(frozen=True, slots=True)
class KnownScene:
    """A scene, and which of its objects people drew or may be cut out."""

    scene: Scene
    cutouts: tuple[int, ...]


def training_scenes(batch: Batch, maps: Tensor, judge: PartsJudge | None = None) -> tuple[list[Scene], list[int]]:
    """The images of a batch and its backgrounds, some with objects of others pasted in; and the places of those.

    Random numbers follow from torch's. Args: as of `scenes_of`.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, ())))
    known = scenes_of(batch, maps, judge)
    cutouts = cutouts_of(known)
    cutouts += background_patches(known, cutouts, rng)
    scenes = [each.scene for each in known]
    if batch.backgrounds is not None:
        pixels = to_pixels(batch.backgrounds).cpu().contiguous().numpy()
        scenes += [Scene(each, (), np.zeros(each.shape[:2], np.bool_)) for each in pixels]
    changed = [place for place in range(len(scenes)) if place >= len(known) or rng.random() < COMPOSED]
    for place, composed in zip(changed, composites(scenes, changed, cutouts, rng, maps.is_cuda), strict=True):
        scenes[place] = composed
    return scenes, changed


def composites(
    scenes: Sequence[Scene], changed: Sequence[int], cutouts: Sequence[Cutout], rng: Generator, side_by_side: bool
) -> list[Scene]:
    """The scenes `changed` with cutouts pasted in; side by side each has random numbers of its own.

    One after the other all draw from one generator, as trainings on a CPU always have, which thus stay as they were.
    """
    if not side_by_side:
        return [compose(scenes[place], cutouts, rng) for place in changed]
    return list(
        core_pool().map(lambda place, own: compose(scenes[place], cutouts, own), changed, rng.spawn(len(changed)))
    )


def scenes_of(batch: Batch, maps: Tensor, judge: PartsJudge | None = None) -> list[KnownScene]:
    """What is known of each image.

    Args: maps: (B, C, h, w) in [0, 1], a method's maps of all classes. judge: leaves out further parts of maps.
    """
    views = _ClassViews.of(batch, maps)
    drawn = _drawn_objects(batch, dict(zip(views.pairs, views.cuts, strict=True)))
    finished = _finished_pairs(batch)
    pixels = to_pixels(batch.images).cpu().contiguous().numpy()
    places: list[list[int]] = [[] for _ in pixels]
    for place, (image, _) in enumerate(views.pairs):
        places[image].append(place)

    unfinished = [place for place, pair in enumerate(views.pairs) if pair not in finished]
    found_parts = core_pool().map(lambda place: list(_parts(views, place)), unfinished)
    parts = [(place, part) for place, some in zip(unfinished, found_parts, strict=True) for part in some]
    outlined = [each for some in drawn.values() for each, is_outlined in some if is_outlined]
    least = least_areas([*outlined, *(part for _, part in parts)])
    parts = [(place, part) for place, part in parts if part.whole >= least[part.label]]
    if judge is not None:
        keeps = judge([views.pairs[place][0] for place, _ in parts], [part for _, part in parts])
        parts = list(compress(parts, keeps))
    kept: dict[int, list[PlacedObject]] = {}
    for place, part in parts:
        kept.setdefault(place, []).append(part)

    def known(image: int) -> KnownScene:
        found: list[tuple[PlacedObject, bool]] = []
        ignored = np.zeros(pixels.shape[1:3], np.bool_)
        for place in places[image]:
            pair = views.pairs[place]
            if pair in finished:
                found += drawn.get(pair, [])
                continue
            ignored |= views.unsure[place]
            found += [(part, is_whole(part.mask)) for part in kept.get(place, ())]
        return _known(pixels[image], found, ignored)

    return list(core_pool().map(known, range(len(pixels))))


def _finished_pairs(batch: Batch) -> set[tuple[int, int]]:
    """Read at once, since each look at a GPU's memory waits for it."""
    found = [] if batch.finished is None else batch.finished.nonzero().tolist()
    return {(image, label) for image, label in found}


def _known(pixels: NDArray[np.uint8], found: Sequence[tuple[PlacedObject, bool]], ignored: BoolMask) -> KnownScene:
    objects = tuple(each for each, _ in found)
    for each in objects:
        ignored &= ~each.mask
    return KnownScene(Scene(pixels, objects, ignored), tuple(k for k, (_, whole) in enumerate(found) if whole))


@dataclass(frozen=True, slots=True)
class _ClassViews:
    """Of each (image, class) pair that the labels name, at the image's side S.

    unsure: (P, S, S), where its map is from UNSURE of its peak on. cuts: its mask. shares: its part of the image's
    classes at each place.
    """

    pairs: list[tuple[int, int]]
    unsure: BoolMask
    cuts: BoolMask
    shares: NDArray[np.float32]

    @classmethod
    def of(cls, batch: Batch, maps: Tensor) -> _ClassViews:
        rows, columns = batch.labels.nonzero(as_tuple=True)
        maps = maps.expand(-1, batch.labels.shape[1], -1, -1)  # early in a training one map serves every class
        soft = competing(maps[rows, columns].float(), rows, len(maps))
        total = soft.new_zeros((len(maps), *soft.shape[1:])).index_add(0, rows, soft)[rows]
        side = batch.images.shape[-1]
        return cls(
            list(zip(rows.tolist(), columns.tolist(), strict=True)),
            (_at_side(soft / soft.amax((1, 2), keepdim=True).clamp(min=1e-6), side) > UNSURE).cpu().numpy(),
            (_at_side(pseudo_masks(batch.images[rows], soft), side) > 0.5).cpu().numpy(),
            _at_side(soft / total.clamp(min=1e-6), side).cpu().numpy(),
        )


def _at_side(maps: Tensor, side: int) -> Tensor:
    """Maps (P, h, w) as (P, side, side)."""
    return resized(maps.float(), (side, side))


def _drawn_objects(
    batch: Batch, cuts: Mapping[tuple[int, int], BoolMask]
) -> dict[tuple[int, int], list[tuple[PlacedObject, bool]]]:
    """(image, class) -> its corrected objects, and whether their outlines are known.

    One without a mask gets what the map shows in its box, where that fills the box, else the whole box.
    """
    found: dict[tuple[int, int], list[tuple[PlacedObject, bool]]] = {}
    objects = batch.objects
    if objects is None:
        return found
    side = batch.images.shape[-1]
    boxes = (objects.boxes * side).round().long().tolist()
    masks = (_at_side(objects.masks, side) > 0.5).cpu().numpy()
    rows = zip(objects.image.tolist(), objects.label.tolist(), boxes, masks, objects.has_mask.tolist(), strict=True)
    for image, label, (x0, y0, x1, y1), mask, has_mask in rows:
        outlined = has_mask and mask.any()
        if not outlined:
            x0, y0 = min(x0, side - 1), min(y0, side - 1)  # a sliver at the far edge still has a pixel
            mask = np.zeros((side, side), np.bool_)
            mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
            inside = mask & cuts.get((image, label), mask)
            if inside.any() and _fit(inside, (x0, y0, x1, y1)) >= GOOD_FIT:
                mask, outlined = inside, True
        placed = PlacedObject(label, mask, int(np.count_nonzero(mask)))
        found.setdefault((image, label), []).append((placed, outlined))
    return found


def _fit(mask: BoolMask, box: Sequence[int]) -> float:
    x0, y0, x1, y1 = bounds(mask)
    return (x1 - x0) * (y1 - y0) / max(1, (box[2] - box[0]) * (box[3] - box[1]))


def _parts(views: _ClassViews, place: int) -> Iterator[PlacedObject]:
    """The parts of a class's mask that may be one object of it."""
    cut, share, (_, label) = views.cuts[place], views.shares[place], views.pairs[place]
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(cut.view(np.uint8), connectivity=8)
    for number in range(1, count):
        area = int(stats[number, cv2.CC_STAT_AREA])
        if not SMALLEST * cut.size <= area <= LARGEST * cut.size:
            continue
        mask = numbers == number
        if solidity(mask) >= LEAST_SOLIDITY and float(share[mask].mean()) >= LEAST_SHARE:
            yield PlacedObject(label, mask, area)


def solidity(mask: BoolMask) -> float:
    """The share of its convex hull that a mask fills."""
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return 0.0
    hull = cv2.contourArea(cv2.convexHull(np.concatenate(contours)))
    return float(np.count_nonzero(mask)) / max(1.0, float(hull))


def is_whole(mask: BoolMask) -> bool:
    """Whether a part is compact, and does not end at the image's edge."""
    inner = cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
    outline = mask & ~inner
    edge = np.zeros_like(mask)
    edge[[0, 1, -1, -2]] = True
    edge[:, [0, 1, -1, -2]] = True
    at_edge = np.count_nonzero(outline & edge)
    return solidity(mask) >= CUTOUT_SOLIDITY and at_edge <= MOST_EDGE * np.count_nonzero(outline)


def cutouts_of(known: Sequence[KnownScene]) -> list[Cutout]:
    """All objects that may be cut out, and patches of background in the shape of others."""
    return [
        cut_out(each.scene.pixels, each.scene.objects[k].mask, each.scene.objects[k].label)
        for each in known
        for k in each.cutouts
    ]


def background_patches(known: Sequence[KnownScene], shapes: Sequence[Cutout], rng: Generator) -> list[Cutout]:
    """Patches of the images where they show nothing, in the shapes of cut-out objects; at most one an image."""
    found: list[Cutout] = []
    for each in known:
        if not shapes:
            break
        shape = shapes[int(rng.integers(len(shapes)))].mask
        side, (h, w) = each.scene.pixels.shape[0], shape.shape
        if h >= side or w >= side:
            continue
        taken = each.scene.ignored.copy()
        for other in each.scene.objects:
            taken |= other.mask
        x, y = int(rng.integers(side - w)), int(rng.integers(side - h))
        window = slice(y, y + h), slice(x, x + w)
        if np.count_nonzero(taken[window] & shape) <= 0.02 * np.count_nonzero(shape):
            found.append(Cutout(np.ascontiguousarray(each.scene.pixels[window]), shape, -1))
    return found
