"""Read what people corrected, as training takes it: boxes, masks, and classes that are not there after all.

What the model predicted and a person left as it was is no evidence of anything new, so an annotation counts only once
a person has changed, added, drawn or removed some region of it; then all of it does. Malformed regions are passed over.
Whether a task trains at all, or is held out to compare versions on, is decided here as well.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.labelstudio.label_config import RECTANGLE, LabelConfig
from backend.labelstudio.region_shapes import box_of, label_of, mask_of, size_of
from backend.labelstudio.reviews import match_annotation
from backend.storage.ledger_rows import RegionFate
from wsol_core.config import MAX_IMAGE_PIXELS
from wsol_core.records import BoolMask, BoxXyxy

HELD_OUT = 0.2  # share of the corrected tasks


@dataclass(frozen=True, slots=True)
class DrawnRegion:
    """One object, in pixels of an upright picture of `size_wh`, which is the size that Label Studio saw.

    `mask` is (H, W) of the whole picture, and holds all objects of the class; None: a box alone.
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
    if found is None or set(found.fates()) <= {RegionFate.ACCEPTED}:
        return ()
    left = [final for _, final in found.pairs if final is not None]
    return tuple(_objects(left, config)) if left else ()


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


def _objects(regions: Sequence[Mapping[str, Any]], config: LabelConfig) -> Iterator[DrawnRegion]:
    """Return boxes, each with its class's mask if that has pixels inside; masks without a box get their own."""
    boxes: dict[str, list[BoxXyxy]] = {}
    masks: dict[str, BoolMask] = {}
    size_wh = size_of(regions[0])
    for region in regions:
        label = label_of(region, config)
        if label is None or size_of(region) != size_wh or size_wh[0] * size_wh[1] > MAX_IMAGE_PIXELS:
            continue
        if region.get("type") == RECTANGLE:
            if (box := box_of(region)) is not None:
                boxes.setdefault(label, []).append(box)
        elif (mask := mask_of(region)) is not None and mask.any():
            known = masks.get(label)
            masks[label] = mask if known is None else known | mask
    for label in dict.fromkeys((*boxes, *masks)):
        mask = masks.get(label)
        for box in boxes.get(label, [] if mask is None else [_bounds(mask)]):
            yield DrawnRegion(label, box, size_wh, mask if mask is not None and _inside(mask, box).any() else None)


def _bounds(mask: BoolMask) -> BoxXyxy:
    rows, columns = (np.flatnonzero(np.any(mask, axis=axis)) for axis in (1, 0))
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _inside(mask: BoolMask, box: BoxXyxy) -> BoolMask:
    return mask[int(box[1]) : math.ceil(box[3]), int(box[0]) : math.ceil(box[2])]
