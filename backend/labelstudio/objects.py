"""Which regions show the same object: its box and its masks are regions of their own in Label Studio.

Predictions say so by the ids of their regions, which the editor keeps. What people draw, and what other programs and
older versions predicted, says nothing; there a box and a mask of one class belong together where they cover each other
most, each box with one mask at most.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backend.labelstudio.controls import POLYGON, RECTANGLE
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.region_shapes import box_of, box_of_polygon, is_turned, label_of, mask_of, size_of
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.masks import bounds, mask_iou, window_of
from wsol_core.ops.matching import match
from wsol_core.records import BoolMask, BoxXyxy

INSIDE = 0.5  # share of a mask that lies in the box of its object
FILLED = 0.25  # share of its object's box that a mask fills, however much of it lies elsewhere
ALIKE = 0.5  # IoU of two masks, or of two boxes, of one object

_ID = re.compile(r"([0-9a-f]{8})-\d+")

Json = Mapping[str, Any]


def new_object_id() -> str:
    """Return a name for a predicted object, from which `region_id` makes those of its regions."""
    return secrets.token_hex(4)


def region_id(object_id: str, number: int) -> str:
    """Return the id of an object's region.

    Example:
        >>> region_id("0b5a1fd3", 1)
        '0b5a1fd3-1'
    """
    return f"{object_id}-{number}"


@dataclass(frozen=True, eq=False)
class Shape:
    """A region as a shape: a box, or a mask of the whole picture, in pixels of the picture that Label Studio saw."""

    region: Json
    label: str | None

    @classmethod
    def of(cls, region: Json, config: LabelConfig) -> Shape:
        """Read a region's class; its geometry is read when it is asked for."""
        return cls(region, label_of(region, config))

    @property
    def control(self) -> str:
        """The name of the control that the region was drawn with."""
        return str(self.region.get("from_name"))

    @property
    def kind(self) -> str:
        """Label Studio's type of region."""
        return str(self.region.get("type"))

    @property
    def is_box(self) -> bool:
        """Whether it is a rectangle; everything else is a mask."""
        return self.kind == RECTANGLE

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of the picture."""
        return size_of(self.region)

    @property
    def object_id(self) -> str | None:
        """The object that the region's id names; None where it names none."""
        found = _ID.fullmatch(str(self.region.get("id")))
        return found[1] if found else None

    @cached_property
    def mask(self) -> BoolMask | None:
        """The mask (H, W); None of a box, and where the mask is empty or cannot be read."""
        mask = None if self.is_box else mask_of(self.region)
        return mask if mask is not None and mask.any() else None

    @cached_property
    def outline(self) -> BoolMask | None:
        """What a box covers (H, W) where it is turned; None of everything else."""
        mask = mask_of(self.region) if self.is_box and is_turned(self.region) else None
        return mask if mask is not None and mask.any() else None

    @cached_property
    def box_xyxy(self) -> BoxXyxy | None:
        """The box, or that around the polygon or the mask; None where it is empty or cannot be read."""
        if self.is_box:
            return box_of(self.region)
        if self.mask is None:
            return None
        return (box_of_polygon(self.region) if self.kind == POLYGON else None) or bounds(self.mask)


def group_shapes(shapes: Sequence[Shape], known: Sequence[Hashable | None]) -> list[int]:
    """Return a number for each shape, the same for those of one object.

    Args: known: what says for each shape which object it belongs to, the same for those of one object; None where
        nothing does, so that the shape joins an object of its class that has none of its control, or is one itself.
    """
    names: dict[Hashable, int] = {}
    numbers = [None if name is None else names.setdefault(name, len(names)) for name in known]
    objects: list[list[Shape]] = [[] for _ in names]
    for shape, number in zip(shapes, numbers, strict=True):
        if number is not None:
            objects[number].append(shape)
    for control in sorted({shape.control for shape in shapes}, key=lambda name: _boxes_first(name, shapes)):
        loose = [i for i, shape in enumerate(shapes) if shape.control == control and numbers[i] is None]
        joined = _join([shapes[i] for i in loose], control, objects)
        for index, number in zip(loose, joined, strict=True):
            numbers[index] = number
    return [number for number in numbers if number is not None]


def pixels_in(mask: BoolMask, box_xyxy: BoxXyxy) -> BoolMask:
    """Return the part of a mask (H, W) that a box touches, as a view (h, w)."""
    return mask[window_of(box_xyxy)]


def _boxes_first(control: str, shapes: Sequence[Shape]) -> tuple[bool, int]:
    """Boxes before masks, then in the order in which the controls appear."""
    first = next(i for i, shape in enumerate(shapes) if shape.control == control)
    return (not shapes[first].is_box, first)


def _join(loose: Sequence[Shape], control: str, objects: list[list[Shape]]) -> list[int]:
    """Put each shape of one control into the object that it belongs to, or into a new one; return their numbers."""
    open_to = [i for i, own in enumerate(objects) if own and all(shape.control != control for shape in own)]
    table = np.array([[_overlap(shape, objects[i]) for i in open_to] for shape in loose], np.float64)
    chosen = {pair.found: open_to[pair.true] for pair in match(table.reshape(len(loose), len(open_to)))}
    numbers = []
    for index, shape in enumerate(loose):
        number = chosen.get(index, len(objects))
        if number == len(objects):
            objects.append([])
        objects[number].append(shape)
        numbers.append(number)
    return numbers


def _overlap(shape: Shape, own: Sequence[Shape]) -> float:
    """How far a shape covers an object, by its box where that has one; 0 where they are not the same object."""
    boxes = [other for other in own if other.is_box]
    return max((_shapes_overlap(shape, other) for other in boxes or own if other.label == shape.label), default=0.0)


def _shapes_overlap(one: Shape, other: Shape) -> float:
    if one.size_wh != other.size_wh or one.box_xyxy is None or other.box_xyxy is None:
        return 0.0
    iou = float(box_iou(np.array([one.box_xyxy]), np.array([other.box_xyxy]), inclusive=False)[0, 0])
    if one.mask is None and other.mask is None:
        return iou if iou >= ALIKE else 0.0
    if one.mask is not None and other.mask is not None:
        alike = mask_iou(one.mask, other.mask) if iou else 0.0
        return alike if alike >= ALIKE else 0.0
    mask, box = (one.mask, other.box_xyxy) if one.mask is not None else (other.mask, one.box_xyxy)
    assert mask is not None
    inside = pixels_in(mask, box)
    count = int(np.count_nonzero(inside))
    return iou if count >= min(INSIDE * int(np.count_nonzero(mask)), FILLED * inside.size) else 0.0
