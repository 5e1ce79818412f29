"""What a person draws to point at an object, in the few forms that prompts.py knows: boxes, ellipses and clicks.

A stroke of a brush, or an outline, is so many clicks on what it covers; Label Studio 1.23 sends none, other editors do.
What the config calls by a name for the background, whatever the label is, is labelled `background`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from backend.labelstudio.annotations import listed
from backend.labelstudio.class_names import loose
from backend.labelstudio.controls import BITMASK, BRUSH, KEYPOINT, LABELS, POLYGON, VECTOR, Control
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prompts import BACKGROUND
from backend.labelstudio.region_shapes import mask_of
from backend.labelstudio.regions import sized
from wsol_core.records import BoolMask

CLICKS = 8  # of a stroke
SIDE_PX = 256  # at which strokes are looked at
INNER = 0.5  # of how far the middle of a stroke is from its rim

Json = Mapping[str, Any]


def marks_of(context: Json, views: Sequence[LabelConfig]) -> list[Json]:
    """Return the regions of a context as boxes, ellipses and key points; what is none of those stays as it is.

    Args: views: what the labeling config means for each picture of the task.
    """
    return [mark for each in listed(context, "result") for mark in _marks(_with_plain_label(each, views))]


def _marks(region: Json) -> Iterator[Json]:
    kind = str(region.get("type"))
    kind = kind if kind.endswith(LABELS) else kind + LABELS
    if kind not in (BRUSH, BITMASK, POLYGON, VECTOR) or not isinstance(value := region.get("value"), Mapping):
        yield region
        return
    mask = None if (whole := sized({**region, "type": kind})) is None else mask_of(whole)
    names = value.get(kind, value.get(LABELS))
    for x, y in clicks_on(mask) if mask is not None else ():
        place = {"x": 100 * x, "y": 100 * y, "width": 0}
        yield {**region, "type": KEYPOINT, "value": place if names is None else {**place, KEYPOINT: names}}


def clicks_on(mask: BoolMask) -> list[tuple[float, float]]:
    """Return places (x, y) along the middle of what a mask (H, W) covers, in shares of the picture; few, in order."""
    height, width = mask.shape
    shrunk = cv2.resize(
        mask.astype(np.uint8) * 255, (min(width, SIDE_PX), min(height, SIDE_PX)), interpolation=cv2.INTER_AREA
    )
    inside = cv2.distanceTransform(np.pad((shrunk > 0).astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    rows, columns = np.nonzero((inside > 0) & (inside >= INNER * inside.max()))
    chosen = np.unique(np.linspace(0, len(rows) - 1, CLICKS).round().astype(int)) if len(rows) else np.zeros(0, int)
    xs, ys = (columns[chosen] + 0.5) / shrunk.shape[1], (rows[chosen] + 0.5) / shrunk.shape[0]
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def _with_plain_label(region: Json, views: Sequence[LabelConfig]) -> Json:
    """Return the region with `background` for each label that the config gives such a name."""
    name, value = str(region.get("from_name")), region.get("value")
    control = next((found for view in views if (found := view.control(name))), None)
    if not isinstance(value, Mapping):
        return region
    plain = {
        key: [_plain(name, control) for name in names]
        for key, names in value.items()
        if str(key).endswith(LABELS) and isinstance(names, list)
    }
    return {**region, "value": {**value, **plain}}


def _plain(name: object, control: Control | None) -> object:
    if not isinstance(name, str):
        return name
    others = [other for other, label in control.other_names if label == name] if control else []
    return BACKGROUND[0] if any(loose(each) in BACKGROUND for each in (name, *others)) else name
