"""What a person points at with Auto-Annotation on: the newest box or point of an interactive call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BOXES = ("rectanglelabels", "rectangle", "ellipselabels", "ellipse")
POINTS = ("keypointlabels", "keypoint")


@dataclass(frozen=True, slots=True)
class Prompt:
    """`xywh` are shares of the picture, 0 to 1, w and h 0 of a point. `label` is what the person chose, if anything."""

    xywh: tuple[float, float, float, float]
    is_box: bool
    label: str | None


def newest_prompt(context: Mapping[str, Any]) -> Prompt | None:
    """The last box or point of the context; Label Studio lists all regions of a control, the newest last."""
    regions = context.get("result")
    for region in reversed(regions) if isinstance(regions, list) else ():
        if isinstance(region, Mapping) and (prompt := _prompt(region)) is not None:
            return prompt
    return None


def _prompt(region: Mapping[str, Any]) -> Prompt | None:
    kind, value = region.get("type"), region.get("value")
    if kind not in BOXES + POINTS or not isinstance(value, Mapping):
        return None
    numbers = [value.get(name) for name in ("x", "y", "width", "height", "radiusX", "radiusY")]
    x, y, w, h, radius_x, radius_y = (
        float(number) / 100 if isinstance(number, int | float) and math.isfinite(number) else 0.0 for number in numbers
    )
    labels = value.get(str(kind))
    label = labels[0] if isinstance(labels, list) and labels and isinstance(labels[0], str) else None
    if kind in POINTS:
        return Prompt((x, y, 0.0, 0.0), False, label)
    if kind.startswith("ellipse"):
        x, y, w, h = x - radius_x, y - radius_y, 2 * radius_x, 2 * radius_y
    return Prompt((x, y, w, h), True, label) if w > 0 and h > 0 else None
