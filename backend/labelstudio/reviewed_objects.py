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
from backend.storage.ledger_rows import Fate, fate_of_object
from wsol_core.evaluation.mistakes import MistakeKind, mistakes_of
from wsol_core.records import BoxXyxy, CorrectedRegion, Region

_NO_MASK = np.zeros((1, 1), np.bool_)

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
    def predicted_region(self) -> Region | None:
        """As it was predicted, in shares of the picture and without its mask; None where no box can be read."""
        known = _box_in_shares([shape.predicted for shape in self.shapes])
        return None if known is None else Region(*known, 0.0, (), _NO_MASK)

    @property
    def final_region(self) -> CorrectedRegion | None:
        """As people left it, in shares of the picture and without its mask; None where no box can be read."""
        known = _box_in_shares([shape.final for shape in self.shapes])
        return None if known is None else CorrectedRegion(*known)


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


def mistakes(objects: Sequence[ReviewedObject]) -> list[MistakeKind | None]:
    """Return for each object the mistake that its prediction was, or that nothing was predicted there.

    They are those of `boxstrap evaluate`, with what people left as the truth.
    """
    found: list[MistakeKind | None] = [None] * len(objects)
    if all(each.fate == Fate.ACCEPTED for each in objects):
        return found  # no mask has to be read
    predicted = {index: known for index, each in enumerate(objects) if (known := each.predicted_region)}
    final = {index: region for index, each in enumerate(objects) if (region := each.final_region)}
    for mistake in mistakes_of(list(predicted.values()), list(final.values()), (1, 1)):
        rows = [list(predicted)[index] for index in mistake.found] or [list(final)[index] for index in mistake.true]
        for row in rows:
            found[row] = found[row] or mistake.kind
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


def _box_in_shares(shapes: Sequence[Shape | None]) -> tuple[str, BoxXyxy] | None:
    """Return the class, "" where it has none, and the box of the first shape that has one."""
    for shape in shapes:
        if shape is not None and (box := shape.box_xyxy) is not None:
            width, height = shape.size_wh
            x0, y0, x1, y1 = box[0] / width, box[1] / height, box[2] / width, box[3] / height
            return (shape.label or "", (x0, y0, x1, y1)) if x0 < x1 and y0 < y1 else None
    return None
