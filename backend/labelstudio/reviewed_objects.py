"""What became of each object: its regions as they were predicted, and as people left them.

Pairs of regions come from reviews.py; which of them show the same object says objects.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.objects import Json, Shape, group_shapes
from backend.labelstudio.region_shapes import region_iou
from backend.storage.ledger_rows import Fate, Mistake, fate_of_object
from wsol_core.ops.boxes import box_iou
from wsol_core.records import BoxXyxy

GOOD_IOU = 0.8  # from which a predicted box was that of the one object and of no second
COVERED = 0.5  # share of an object's box inside a predicted one, from which the prediction covers it

Pair = tuple[Json | None, Json | None]  # a region as it was predicted, and as people left it


@dataclass(frozen=True, slots=True)
class ReviewedShape:
    """One of an object's regions: as it was predicted, as people left it, and what they made of it."""

    predicted: Shape | None
    final: Shape | None
    fate: Fate

    @property
    def iou(self) -> float | None:
        """1 where it was accepted; None where there are not two of one kind to compare, or one cannot be read."""
        if self.fate == Fate.ACCEPTED:
            return 1.0
        if self.predicted is None or self.final is None:
            return None
        return region_iou(self.predicted.region, self.final.region)

    @property
    def shown(self) -> Shape:
        """As people left it; as it was predicted where they deleted it."""
        shown = self.final or self.predicted
        assert shown is not None
        return shown


@dataclass(frozen=True, slots=True)
class ReviewedObject:
    """The regions of one object, a box before its masks."""

    shapes: tuple[ReviewedShape, ...]

    @property
    def fate(self) -> Fate:
        """What people made of the whole object."""
        return fate_of_object([shape.fate for shape in self.shapes])

    @property
    def label(self) -> str | None:
        """The final class; of a deleted object, the predicted one."""
        final = next((shape.final for shape in self.shapes if shape.final is not None), None)
        return (final or self.shapes[0].shown).label

    @property
    def predicted_box(self) -> BoxXyxy | None:
        """The predicted box, or that of the predicted mask, in shares of the picture."""
        return _box_in_shares([shape.predicted for shape in self.shapes])

    @property
    def final_box(self) -> BoxXyxy | None:
        """The box that people left, or that of the mask, in shares of the picture."""
        return _box_in_shares([shape.final for shape in self.shapes])


def reviewed_objects(pairs: Sequence[Pair], fates: Sequence[Fate], config: LabelConfig) -> list[ReviewedObject]:
    """Return the objects that pairs of regions show, those that people left before those that they deleted.

    A region belongs to the object that it was predicted for, whatever became of it.
    """
    shapes = [tuple(None if region is None else Shape.of(region, config) for region in pair) for pair in pairs]
    was = _numbered([predicted for predicted, _ in shapes], [None] * len(pairs))
    known = [None if number is None else ("predicted", number) for number in was]
    now = _numbered([final for _, final in shapes], known)
    left = {predicted: final for predicted, final in zip(was, now, strict=True) if None not in (predicted, final)}
    members: dict[Hashable, list[ReviewedShape]] = {}
    for index, (predicted, final) in enumerate(shapes):
        number = left.get(was[index]) if now[index] is None else now[index]
        name = ("deleted", was[index]) if number is None else number
        members.setdefault(name, []).append(ReviewedShape(predicted, final, fates[index]))
    return [ReviewedObject(_redrawn(own)) for own in members.values()]


def mistakes(objects: Sequence[ReviewedObject]) -> list[Mistake | None]:
    """Return for each object what kind of mistake the prediction made of it, as far as boxes show one.

    A prediction is merged that covers two objects or more: the one that people made of it, unless it fitted that one,
    and those that they added. What they added where no merged one lies was missed.
    """
    found: list[Mistake | None] = [None] * len(objects)
    covered: dict[int, list[int]] = {}  # predicted -> added
    for index, each in enumerate(objects):
        if each.fate == Fate.ADDED:
            found[index] = Mistake.MISSED
            shares = [(_covers(other, each), -place) for place, other in enumerate(objects)]
            share, nearest = max(shares)
            if share >= COVERED:
                covered.setdefault(-nearest, []).append(index)
    for index, added in covered.items():
        own = objects[index]
        still = own.fate == Fate.EDITED and _covers(own, own) >= COVERED
        if not (still and _fits(own)) and still + len(added) > 1:
            found[index] = Mistake.MERGED
            for place in added:
                found[place] = None
    return found


def _numbered(shapes: Sequence[Shape | None], known: Sequence[Hashable | None]) -> list[int | None]:
    """Number those shapes that there are by their objects; ids say it where `known` does not."""
    there = [shape for shape in shapes if shape is not None]
    names = [shape.object_id if name is None else name for shape, name in zip(shapes, known, strict=True) if shape]
    numbers = iter(group_shapes(there, names))
    return [None if shape is None else next(numbers) for shape in shapes]


def _redrawn(shapes: Sequence[ReviewedShape]) -> tuple[ReviewedShape, ...]:
    """Boxes first; a region that was deleted, and drawn anew with the same control, counts as one that was edited."""
    gone = {shape.shown.control: shape for shape in shapes if shape.final is None}
    result = []
    for shape in shapes:
        control = shape.shown.control
        if shape.predicted is None and control in gone:
            result.append(ReviewedShape(gone.pop(control).predicted, shape.final, Fate.EDITED))
        elif shape.final is not None:
            result.append(shape)
    return tuple(sorted([*result, *gone.values()], key=lambda shape: not shape.shown.is_box))


def _box_in_shares(shapes: Sequence[Shape | None]) -> BoxXyxy | None:
    for shape in shapes:
        if shape is not None and (box := shape.box_xyxy) is not None:
            width, height = shape.size_wh
            return (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
    return None


def _covers(one: ReviewedObject, other: ReviewedObject) -> float:
    """The share of an object's final box inside the predicted box of a changed one of its class."""
    if one.fate not in (Fate.EDITED, Fate.DELETED) or one.label != other.label:
        return 0.0
    predicted, final = one.predicted_box, other.final_box
    return 0.0 if predicted is None or final is None else _shared(predicted, final) / _area(final)


def _fits(own: ReviewedObject) -> bool:
    """Whether the predicted box was that of the object that people made of it."""
    predicted, final = own.predicted_box, own.final_box
    if predicted is None or final is None:
        return False
    return bool(box_iou(np.array([predicted]), np.array([final]), inclusive=False)[0, 0] >= GOOD_IOU)


def _shared(one: BoxXyxy, other: BoxXyxy) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    return float(sides.clip(min=0).prod())


def _area(box: BoxXyxy) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
