"""What went wrong with the objects of an image, by kinds of mistakes, and the worst images of each kind.

Boxes in, mistakes out; torch-free.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from wsol_core.ops.boxes import box_iou, shared_areas
from wsol_core.ops.matching import LOOSE_IOU, TIGHT_IOU, match
from wsol_core.records import BoxXyxy, CorrectedRegion, Region

MOST_EXAMPLES = 6  # images that are kept of each kind
HALF = 0.5  # of a box's area: from there on it lies in another one


class MistakeKind(StrEnum):
    """What kind of mistake it is; see `mistakes_of`."""

    MISSED = "missed"
    MERGED = "merged"
    SPLIT = "split"
    LOOSE = "loose"
    WRONG_CLASS = "wrong class"
    NOTHING_THERE = "nothing there"


MEANINGS = {
    MistakeKind.MISSED: "a true object that no prediction of its class meets at IoU .5",
    MistakeKind.MERGED: "one prediction covers two or more true objects, each by at least half",
    MistakeKind.SPLIT: "several predictions lie on one true object of their class, each by at least half",
    MistakeKind.LOOSE: "the right object, at an IoU from .5 to .8: a person would adjust the box",
    MistakeKind.WRONG_CLASS: "a prediction that meets an object of another class at IoU .5",
    MistakeKind.NOTHING_THERE: "a prediction that covers no true object by half and lies by half on none",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake. `found` and `true` are the indices of the regions that have part in it.

    weight: orders mistakes of a kind, the worst first: the missed object's share of the image, how many objects were
        merged or predictions are too many, 1 - IoU of a loose box, the score of what is of a wrong class or nothing.
    """

    kind: MistakeKind
    found: tuple[int, ...]
    true: tuple[int, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """A box (x0, y0, x1, y1) in pixels, x1 and y1 exclusive; predicted ones have a score in [0, 1]."""

    label: str
    box_xyxy: BoxXyxy
    score: float | None = None


@dataclass(frozen=True, slots=True)
class MistakenImage:
    """An image's mistakes of one kind, and all predicted and true boxes, which the mistakes name by their index."""

    file: str
    mistakes: tuple[Mistake, ...]
    found: tuple[LabelledBox, ...]
    true: tuple[LabelledBox, ...]

    @property
    def badness(self) -> tuple[int, float]:
        """How many mistakes, then how bad they are together."""
        return len(self.mistakes), sum(mistake.weight for mistake in self.mistakes)


@dataclass(frozen=True, slots=True)
class MistakesOfKind:
    """How many mistakes there are, in how many images, and the worst of these, the worst first."""

    count: int
    images: int
    worst: tuple[MistakenImage, ...]


class MistakeCollection:
    """Takes image by image; keeps numbers and a few images of each kind.

    Example:
        >>> collection = MistakeCollection()
        >>> collection.add("1.jpg", found.regions, sample.truth, found.size_wh)
        >>> collection.by_kind()[MistakeKind.MISSED].count
        2
    """

    def __init__(self) -> None:
        self._counts: Counter[MistakeKind] = Counter()
        self._images: Counter[MistakeKind] = Counter()
        self._worst: dict[MistakeKind, list[MistakenImage]] = defaultdict(list)

    def add(
        self, file: str, found: Sequence[Region], truth: Sequence[CorrectedRegion], size_wh: tuple[int, int]
    ) -> None:
        """Takes one image of `size_wh` pixels."""
        by_kind: dict[MistakeKind, list[Mistake]] = defaultdict(list)
        for mistake in mistakes_of(found, truth, size_wh):
            by_kind[mistake.kind].append(mistake)
        predicted = tuple(LabelledBox(region.label, region.box_xyxy, region.score) for region in found)
        true = tuple(LabelledBox(region.label, region.box_xyxy) for region in truth)
        for kind, mistakes in by_kind.items():
            self._counts[kind] += len(mistakes)
            self._images[kind] += 1
            images = [*self._worst[kind], MistakenImage(file, tuple(mistakes), predicted, true)]
            self._worst[kind] = sorted(images, key=lambda image: image.badness, reverse=True)[:MOST_EXAMPLES]

    def by_kind(self) -> dict[MistakeKind, MistakesOfKind]:
        """Every kind, also those that do not occur."""
        return {
            kind: MistakesOfKind(self._counts[kind], self._images[kind], tuple(self._worst[kind]))
            for kind in MistakeKind
        }


def mistakes_of(found: Sequence[Region], truth: Sequence[CorrectedRegion], size_wh: tuple[int, int]) -> list[Mistake]:
    """The mistakes of an image of `size_wh` pixels; `MEANINGS` says what they are.

    Predictions and true objects are first matched one to one within each class, at IoU .5. Each prediction has part in
    one mistake at most, looked for in this order: merged (unless it fits one object at IoU .8, and only objects count
    that no other prediction fits so), wrong class, split, loose, nothing there. A prediction that lies on an object
    without meeting it at IoU .5 is none of these; its object is missed. Missed objects are those that are neither
    matched nor part of another mistake.
    """
    image = _Overlaps(found, truth)
    mistakes = _merged(image)
    taken = {index for mistake in mistakes for index in mistake.found}
    for kind in (_wrong_class, _split, _loose, _nothing_there):
        new = kind(image, taken)
        taken.update(index for mistake in new for index in mistake.found)
        mistakes += new
    known = {index for mistake in mistakes for index in mistake.true} | set(image.matched.values())
    missed = [index for index in range(len(truth)) if index not in known]
    area = size_wh[0] * size_wh[1]
    return mistakes + [
        Mistake(MistakeKind.MISSED, (), (index,), float(image.true_areas[index]) / area) for index in missed
    ]


class _Overlaps:
    """How K predictions and G true objects lie to each other.

    ious: (K, G). same: (K, G), whether the classes are the same. covers: (K, G), whether the prediction has half of the
    object in it. inside: (K, G), whether half of the prediction is in the object. matched: prediction -> object.
    """

    def __init__(self, found: Sequence[Region], truth: Sequence[CorrectedRegion]) -> None:
        boxes, true = (
            np.array([region.box_xyxy for region in regions], np.float64).reshape(-1, 4) for regions in (found, truth)
        )
        self.scores = [region.score for region in found]
        self.ious = box_iou(boxes, true, inclusive=False)
        self.same = np.array([[r.label == t.label for t in truth] for r in found], np.bool_).reshape(self.ious.shape)
        shared, areas, true_areas = shared_areas(boxes, true, inclusive=False)
        self.true_areas = true_areas[0]
        self.covers = shared >= HALF * true_areas
        self.inside = shared >= HALF * areas
        pairs = match(np.where(self.same, self.ious, 0.0), LOOSE_IOU)
        self.matched = {pair.found: pair.true for pair in pairs}
        self.tight = {pair.true: pair.found for pair in pairs if pair.iou >= TIGHT_IOU}


def _merged(image: _Overlaps) -> list[Mistake]:
    found = []
    for index, covers in enumerate(image.covers):
        covered = tuple(int(true) for true in np.flatnonzero(covers) if image.tight.get(int(true), index) == index)
        if len(covered) >= 2 and image.ious[index].max() < TIGHT_IOU:
            found.append(Mistake(MistakeKind.MERGED, (index,), covered, len(covered)))
    return found


def _wrong_class(image: _Overlaps, taken: set[int]) -> list[Mistake]:
    others = np.where(image.same, 0.0, image.ious)
    return [
        Mistake(MistakeKind.WRONG_CLASS, (index,), (int(row.argmax()),), image.scores[index])
        for index, row in enumerate(others)
        if index not in taken and index not in image.matched and row.max(initial=0.0) >= LOOSE_IOU
    ]


def _split(image: _Overlaps, taken: set[int]) -> list[Mistake]:
    parts: dict[int, list[int]] = defaultdict(list)
    own = np.where(image.same, image.ious, 0.0)
    for index, row in enumerate(own):
        if index in taken or not row.any():
            continue
        true = image.matched.get(index, int(row.argmax()))
        if image.inside[index, true]:
            parts[true].append(index)
    return [
        Mistake(MistakeKind.SPLIT, tuple(indices), (true,), len(indices) - 1)
        for true, indices in parts.items()
        if len(indices) > 1
    ]


def _loose(image: _Overlaps, taken: set[int]) -> list[Mistake]:
    return [
        Mistake(MistakeKind.LOOSE, (index,), (true,), 1 - float(image.ious[index, true]))
        for index, true in image.matched.items()
        if index not in taken and true not in image.tight
    ]


def _nothing_there(image: _Overlaps, taken: set[int]) -> list[Mistake]:
    nowhere = ~(image.covers | image.inside).any(axis=1)
    return [
        Mistake(MistakeKind.NOTHING_THERE, (int(index),), (), image.scores[index])
        for index in np.flatnonzero(nowhere)
        if index not in taken
    ]
