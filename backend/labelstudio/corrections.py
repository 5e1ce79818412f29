"""Regions that people drew or corrected in Label Studio, as boxes and masks.

What the model predicted and a person left as it was is no evidence of anything new, so an annotation counts only once
a person has changed, added or drawn some region of it; then all of it does. Malformed regions are passed over.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image

from backend.errors import RequestError
from backend.labelstudio.brush_rle import MAX_PIXELS, OPAQUE, decode_mask
from backend.labelstudio.label_config import BITMASK, BRUSH, POLYGON, RECTANGLE, LabelConfig
from backend.labelstudio.samples import newest_first
from wsol_core.records import BoolMask, BoxXyxy

UNTOUCHED = "prediction"
_PNG = "data:image/png;base64,"


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
        """The box in a picture of another size."""
        (x0, y0, x1, y1), (w, h) = self.box_xyxy, (new / old for new, old in zip(size_wh, self.size_wh, strict=True))
        return (x0 * w, y0 * h, x1 * w, y1 * h)


def drawn_regions(task: Mapping[str, Any], config: LabelConfig) -> tuple[DrawnRegion, ...]:
    """The objects of the newest annotation with regions, if a person had a hand in it."""
    for annotation in newest_first(task):
        results = annotation.get("result")
        found = [each for each in results if _is_region(each, config)] if isinstance(results, list) else []
        if found:
            by_hand = any(each.get("origin") != UNTOUCHED for each in found)
            return tuple(_objects(found, config)) if by_hand else ()
    return ()


def _is_region(result: object, config: LabelConfig) -> bool:
    if not isinstance(result, Mapping) or not isinstance(result.get("value"), Mapping):
        return False
    control = config.control(str(result.get("from_name")))
    sides = (result.get("original_width"), result.get("original_height"))
    return control in config.region_controls and all(isinstance(side, int) and side > 0 for side in sides)


def _objects(results: list[Mapping[str, Any]], config: LabelConfig) -> Iterator[DrawnRegion]:
    """Boxes, each with the mask of its class where that has something in it; masks without a box get their own."""
    boxes: dict[str, list[BoxXyxy]] = {}
    masks: dict[str, BoolMask] = {}
    size_wh = _size(results[0])
    for result in results:
        label = _label(result, config)
        if label is None or _size(result) != size_wh or size_wh[0] * size_wh[1] > MAX_PIXELS:
            continue
        if result.get("type") == RECTANGLE:
            boxes.setdefault(label, []).extend(_box(result["value"], size_wh))
        elif (mask := _mask(result, size_wh)) is not None and mask.any():
            known = masks.get(label)
            masks[label] = mask if known is None else known | mask
    for label in dict.fromkeys((*boxes, *masks)):
        mask = masks.get(label)
        for box in boxes.get(label, [] if mask is None else [_bounds(mask)]):
            yield DrawnRegion(label, box, size_wh, mask if mask is not None and _inside(mask, box).any() else None)


def _size(result: Mapping[str, Any]) -> tuple[int, int]:
    return (result["original_width"], result["original_height"])


def _label(result: Mapping[str, Any], config: LabelConfig) -> str | None:
    names = result["value"].get(str(result.get("type")))
    name = names[0] if isinstance(names, list) and names else None
    return config.label_for(name) if isinstance(name, str) else None


def _box(value: Mapping[str, Any], size_wh: tuple[int, int]) -> Iterator[BoxXyxy]:
    """The upright box around a rectangle, which may be turned about its upper left corner; none if it is empty."""
    numbers = [value.get(name, 0) for name in ("x", "y", "width", "height", "rotation")]
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        return
    x, y, w, h, rotation = (float(number) for number in numbers)
    width, height = size_wh
    x, w, y, h, turn = x * width / 100, w * width / 100, y * height / 100, h * height / 100, math.radians(rotation)
    corners = [(a, b) for a in (0.0, w) for b in (0.0, h)]
    xs = np.clip([x + a * math.cos(turn) - b * math.sin(turn) for a, b in corners], 0, width)
    ys = np.clip([y + a * math.sin(turn) + b * math.cos(turn) for a, b in corners], 0, height)
    if xs.min() < xs.max() and ys.min() < ys.max():
        yield (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))


def _mask(result: Mapping[str, Any], size_wh: tuple[int, int]) -> BoolMask | None:
    value, kind = result["value"], result.get("type")
    try:
        if kind == BRUSH:
            return decode_mask(value.get("rle", ()), size_wh)
        if kind == BITMASK:
            return _bitmask(str(value.get("imageDataURL")), size_wh)
        if kind == POLYGON:
            return _polygon(value.get("points"), size_wh)
    except (RequestError, ValueError, TypeError, OSError, SyntaxError):
        return None
    return None


def _bitmask(url: str, size_wh: tuple[int, int]) -> BoolMask | None:
    if not url.startswith(_PNG):
        return None
    try:
        content = base64.b64decode(url.removeprefix(_PNG), validate=True)
    except binascii.Error:
        return None
    with Image.open(io.BytesIO(content)) as image:
        if image.size != size_wh:
            return None
        return np.asarray(image.convert("RGBA"))[..., 3] >= OPAQUE


def _polygon(points: Any, size_wh: tuple[int, int]) -> BoolMask:
    width, height = size_wh
    corners = np.asarray(points, np.float64).reshape(-1, 2) * (width / 100, height / 100)
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [np.clip(corners, -1, 2 * max(size_wh)).round().astype(np.int32)], 1)
    return canvas.astype(np.bool_)


def _bounds(mask: BoolMask) -> BoxXyxy:
    rows, columns = (np.flatnonzero(np.any(mask, axis=axis)) for axis in (1, 0))
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _inside(mask: BoolMask, box: BoxXyxy) -> BoolMask:
    return mask[int(box[1]) : math.ceil(box[3]), int(box[0]) : math.ceil(box[2])]
