"""Read what people corrected, as training takes it: object by object, and classes that are not there after all.

What the model predicted and a person left as it was is no evidence of anything new, so an annotation counts only once
a person has changed, added, drawn or removed some region of it; then all of it does. Malformed regions are passed over.
Whether a task trains at all, or is held out to compare versions on, is decided here as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.objects import FILLED, pixels_in
from backend.labelstudio.region_shapes import label_of
from backend.labelstudio.reviewed_objects import ReviewedObject, ReviewedShape
from backend.labelstudio.reviews import match_annotation
from backend.storage.ledger_rows import Fate
from wsol_core.config import MAX_IMAGE_PIXELS
from wsol_core.records import BoolMask, BoxXyxy

HELD_OUT = 0.2  # share of the corrected tasks


@dataclass(frozen=True, slots=True)
class DrawnRegion:
    """One object, in pixels of an upright picture of `size_wh`, which is the size that Label Studio saw.

    `mask` is (H, W) of the whole picture, and holds this object alone; None: a box alone.
    """

    label: str
    box_xyxy: BoxXyxy
    size_wh: tuple[int, int]
    mask: BoolMask | None = None

    def box_in(self, size_wh: tuple[int, int]) -> BoxXyxy:
        """Return the box in a picture of another size."""
        (x0, y0, x1, y1), (w, h) = self.box_xyxy, (new / old for new, old in zip(size_wh, self.size_wh, strict=True))
        return (x0 * w, y0 * h, x1 * w, y1 * h)


def drawn_regions(task: Mapping[str, Any], config: LabelConfig) -> tuple[DrawnRegion, ...]:
    """Return the objects of the annotation that counts (see reviews.py), if a person changed any of them."""
    found = match_annotation(task, config)
    if found is None or set(found.fates()) <= {Fate.ACCEPTED}:
        return ()
    return tuple(region for region, _ in left_objects(found.objects(config)))


def left_objects(objects: Sequence[ReviewedObject]) -> list[tuple[DrawnRegion, Fate]]:
    """Return what people left of a picture's objects, and what they made of each."""
    found = [(region, each.fate) for each in objects for region in _drawn(each)]
    kept = [pair for pair in found if pair[0].size_wh == found[0][0].size_wh and _is_possible(pair[0])]
    shared = _share([region for region, _ in kept])
    return [(region, fate) for region, (_, fate) in zip(shared, kept, strict=True)]


def cleared_labels(task: Mapping[str, Any], config: LabelConfig) -> tuple[str, ...]:
    """Return classes with predicted regions of which a person left none: deleted them all, or changed their class."""
    found = match_annotation(task, config)
    if found is None:
        return ()
    predicted = [label_of(before, config) for before, _ in found.pairs if before is not None]
    left = {label_of(final, config) for _, final in found.pairs if final is not None}
    return tuple(dict.fromkeys(label for label in predicted if label is not None and label not in left))


def in_holdout(project_id: str, task_id: int, share: float = HELD_OUT) -> bool:
    """Return whether a task is never trained on, so that versions can be compared on it; always the same answer.

    Args: share: of all tasks, in [0, 1].
    """
    digest = hashlib.blake2b(f"{project_id}/{task_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def _is_possible(region: DrawnRegion) -> bool:
    return region.size_wh[0] * region.size_wh[1] <= MAX_IMAGE_PIXELS


def _drawn(reviewed: ReviewedObject) -> Iterator[DrawnRegion]:
    """Return what people left of an object; where they gave its regions several classes, one for each of them."""
    left = [shape for shape in reviewed.shapes if shape.final is not None and shape.final.label is not None]
    for label, own in _by_class(left).items():
        mask = _mask(own)
        # A box comes before its masks, whose own bounds count where there is none.
        box = next((box for shape in own if (box := shape.shown.box_xyxy) is not None), None)
        if box is not None:
            inside = mask is not None and pixels_in(mask, box).any()
            yield DrawnRegion(label, box, own[0].shown.size_wh, mask if inside else None)


def _by_class(shapes: Sequence[ReviewedShape]) -> dict[str, list[ReviewedShape]]:
    """Return an object's regions by class: all of the one that people changed some to, if that is one."""
    changed = {shape.shown.label for shape in shapes if shape.fate != Fate.ACCEPTED}
    only = next(iter(changed)) if len(changed) == 1 else None
    found: dict[str, list[ReviewedShape]] = {}
    for shape in shapes:
        found.setdefault(only or shape.shown.label or "", []).append(shape)
    return found


def _mask(shapes: Sequence[ReviewedShape]) -> BoolMask | None:
    """Return the masks together; of those, what people drew says more than what they left as it was."""
    masks = [(shape.fate != Fate.ACCEPTED, shape.shown.mask) for shape in shapes]
    known = [(drawn, mask) for drawn, mask in masks if mask is not None]
    best = [mask for drawn, mask in known if drawn == any(drawn for drawn, _ in known)]
    if not best:  # a box that is turned is an outline as well
        best = [outline for shape in shapes if (outline := shape.shown.outline) is not None]
    return np.logical_or.reduce(best) if best else None


def _share(regions: Sequence[DrawnRegion]) -> tuple[DrawnRegion, ...]:
    """Split masks that lie over several objects, as one brush stroke may, among those boxes that have none."""
    found = list(regions)
    for index, region in enumerate(found):
        if region.mask is None:
            continue
        others = [other.box_xyxy for other in found if other.label == region.label and other.mask is not None]
        sharers = [
            place
            for place, other in enumerate(found)
            if other.label == region.label and other.mask is None and _fills(region.mask, other.box_xyxy, others)
        ]
        if sharers:
            places = (index, *sharers)
            parts = _split(region.mask, [found[place].box_xyxy for place in places])
            for place, part in zip(places, parts, strict=True):
                found[place] = replace(found[place], mask=part if part.any() else None)
    return tuple(found)


def _fills(mask: BoolMask, box: BoxXyxy, others: Sequence[BoxXyxy]) -> bool:
    """Return whether a mask fills enough of a box, where none of the `others` lies, to be that of its object, too."""
    ground = np.ones_like(mask)
    for other in others:
        pixels_in(ground, other)[...] = False
    ground = pixels_in(ground, box)
    free = int(np.count_nonzero(ground))
    return free > 0 and int(np.count_nonzero(pixels_in(mask, box) & ground)) >= FILLED * free


def _split(mask: BoolMask, boxes: Sequence[BoxXyxy]) -> list[BoolMask]:
    """Return each box's part of a mask (H, W); a pixel in several boxes is of the one in which it is most central."""
    nearest = np.full(mask.shape, np.inf, np.float32)
    owner = np.full(mask.shape, -1, np.int16)
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    for index, (x0, y0, x1, y1) in enumerate(boxes):
        across, down = np.abs(2 * columns + 1 - x0 - x1) / (x1 - x0), np.abs(2 * rows + 1 - y0 - y1) / (y1 - y0)
        far = np.maximum(across, down)
        closer = np.zeros_like(mask)
        pixels_in(closer, boxes[index])[...] = True
        closer &= far < nearest
        nearest[closer], owner[closer] = far[closer], index
    return [mask & (owner == index) for index in range(len(boxes))]
