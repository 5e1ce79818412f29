"""Where several animals stand in one picture: which of them touch and which stay apart. Nothing is painted here.

About half of them touch one of their own class, in groups of two and three. Of the others, some lean on an animal of
another class, and the rest stand alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from wsol_core.records import BoolMask
from wsol_core.synthetic.animals import CutOut
from wsol_core.synthetic.compositing import Difficulty, fitting_animal
from wsol_core.synthetic.pixels import FloatImage, as_float

FEWEST, MOST = 2, 6  # animals in a picture
SEVERAL_CLASSES = 0.8  # how often a picture may have two or three classes
LEANING = 0.35  # how often an animal of no group leans on one of another class
OVERLAPPING = 0.6  # how often animals that touch overlap; else there is a gap between them
TOUCHING_PX = 3  # animals touch if their pixels are no further apart than this
APART_PX = 8  # animals that do not touch are further apart than this
LEAST_OVERLAP, MOST_OVERLAP = 0.01, 0.2  # shares of the smaller animal
MOST_SHARED = 0.4  # the share of an animal that may lie over or under others, all together
SMALLEST, LARGEST = 0.06, 0.24  # shares of the picture that an animal's box takes
ALL_BOXES = 0.85  # the largest share of the picture for all boxes of a picture together
LEAST_AREA = 0.03  # the share of the picture that an animal itself covers

Positions = NDArray[np.bool_]  # (H - h + 1, W - w + 1), one for each place of a cut-out's upper left corner


@dataclass(frozen=True, slots=True)
class Group:
    """Animals of one class that touch each other, or a single one that may lean on another class."""

    class_index: int
    size: int


@dataclass(frozen=True, slots=True)
class Placed:
    """An animal and where its upper left corner stands. full: (H, W), True where it covers half a pixel or more."""

    animal: CutOut
    class_index: int
    group: int
    at_xy: tuple[int, int]
    full: BoolMask


def plan_groups(rng: Generator, lead: int, classes: int) -> list[Group]:
    """Two to six animals in groups, of the class `lead` first; on average half of them are in groups of 2 or 3."""
    count = int(rng.integers(FEWEST, MOST + 1))
    touching = round(count * rng.random())
    if touching == 1:
        touching = 2 * int(rng.integers(0, 2))
    sizes = [int(size) for size in rng.permutation(_split(rng, touching) + [1] * (count - touching))]
    present = [lead]
    if classes > 1 and rng.random() < SEVERAL_CLASSES:
        others = [index for index in range(classes) if index != lead]
        present += [
            int(index) for index in rng.choice(others, min(len(others), int(rng.integers(1, 3))), replace=False)
        ]
    first, *rest = sizes
    groups = [Group(int(rng.choice(present)), size) for size in sorted(rest, reverse=True)]
    return [Group(lead, first), *groups]


def _split(rng: Generator, animals: int) -> list[int]:
    """Sizes of groups of two and three that so many animals make."""
    sizes = []
    while animals:
        size = animals if animals < 4 else int(rng.integers(2, 4)) if animals > 4 else 2
        sizes.append(size)
        animals -= size
    return sizes


def arrange(rng: Generator, size_wh: tuple[int, int], lead: int, classes: int, hard: Difficulty) -> list[Placed]:
    """Two to six animals, one of the class `lead` among them, each wholly inside the picture of `size_wh`."""
    while True:
        placed = _arrange_groups(rng, size_wh, plan_groups(rng, lead, classes), hard)
        if len(placed) >= FEWEST:
            return placed


def _arrange_groups(
    rng: Generator, size_wh: tuple[int, int], groups: Sequence[Group], hard: Difficulty
) -> list[Placed]:
    largest = min(LARGEST, ALL_BOXES / sum(group.size for group in groups))
    placed: list[Placed] = []
    for number, group in enumerate(groups):
        leans = group.size == 1 and rng.random() < LEANING
        for _ in range(group.size):
            mates = [each for each in placed if each.group == number]
            others = [each for each in placed if leans and each.class_index != group.class_index]
            animal = _animal(rng, group.class_index, size_wh, largest, hard)
            at_xy = find_place(rng, size_wh, animal, placed, mates or others)
            if at_xy is not None:
                placed.append(Placed(animal, group.class_index, number, at_xy, _cover(animal, at_xy, size_wh)))
    return placed


def _animal(rng: Generator, class_index: int, size_wh: tuple[int, int], largest: float, hard: Difficulty) -> CutOut:
    """An animal whose box takes from `SMALLEST` to `largest` of the picture, and it from `LEAST_AREA`."""
    root = float(np.sqrt(size_wh[0] * size_wh[1]))
    sides_px = (root * rng.uniform(SMALLEST**0.5, largest**0.5), root * LARGEST**0.5)
    return fitting_animal(rng, class_index, size_wh, sides_px, replace(hard, least_area=LEAST_AREA))


def find_place(
    rng: Generator, size_wh: tuple[int, int], animal: CutOut, placed: Sequence[Placed], touched: Sequence[Placed]
) -> tuple[int, int] | None:
    """A free place (x, y) for the animal's upper left corner; None where there is none.

    Args: touched: those of `placed` of which it touches at least one; it stays apart from all others.
    """
    shape = as_float(animal.alpha >= 0.5)
    apart = _union([each.full for each in placed if not any(each is other for other in touched)], size_wh)
    free = _overlap(_grown(apart, APART_PX), shape) < 0.5
    if touched:
        free &= _meeting(rng, shape, [each.full for each in touched])
    places = np.argwhere(free)
    for y, x in rng.permutation(places)[:8]:
        at_xy = (int(x), int(y))
        if _all_show([each.full for each in placed], _cover(animal, at_xy, size_wh)):
            return at_xy
    return None


def _meeting(rng: Generator, shape: FloatImage, touched: Sequence[BoolMask]) -> Positions:
    """Where `shape` touches one or more of the animals and overlaps none of them too far."""
    size_wh = touched[0].shape[::-1]
    meets = _overlap(_grown(_union(touched, size_wh), TOUCHING_PX), shape) > 0.5
    shares = [_overlap(full, shape) / min(np.count_nonzero(full), np.count_nonzero(shape)) for full in touched]
    deepest = np.max(shares, axis=0)
    overlapping: Positions = meets & (deepest >= LEAST_OVERLAP) & (deepest <= MOST_OVERLAP)
    if rng.random() < OVERLAPPING and overlapping.any():
        return overlapping
    gap: Positions = meets & (_overlap(_union(touched, size_wh), shape) < 0.5)
    return gap


def _all_show(others: Sequence[BoolMask], new: BoolMask) -> bool:
    """Whether no animal shares more than `MOST_SHARED` of itself with others, once `new` stands among them."""
    everyone = [*others, new]
    count = np.sum(everyone, axis=0)
    return all(np.count_nonzero(full & (count > 1)) <= MOST_SHARED * np.count_nonzero(full) for full in everyone)


def _cover(animal: CutOut, at_xy: tuple[int, int], size_wh: tuple[int, int]) -> BoolMask:
    (x, y), (h, w) = at_xy, animal.alpha.shape
    full = np.zeros(size_wh[::-1], np.bool_)
    full[y : y + h, x : x + w] = animal.alpha >= 0.5
    return full


def _union(masks: Sequence[BoolMask], size_wh: tuple[int, ...]) -> BoolMask:
    union: BoolMask = np.logical_or.reduce([np.zeros(size_wh[::-1], np.bool_), *masks])
    return union


def _grown(mask: BoolMask, by_px: int) -> BoolMask:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by_px + 1, 2 * by_px + 1))
    grown: BoolMask = cv2.dilate(mask.astype(np.uint8), disc) > 0
    return grown


def _overlap(mask: BoolMask, shape: FloatImage) -> FloatImage:
    """How many pixels of `mask` a shape covers, for every place of its upper left corner."""
    return as_float(cv2.matchTemplate(as_float(mask), shape, cv2.TM_CCORR))
