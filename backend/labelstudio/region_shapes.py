"""One region of Label Studio's JSON: what it is called, where it is, and how far two of them cover each other.

People and other programs write these: what is malformed has no label, no box or no mask, and never raises. Which
regions belong to a task, and who made them, is in reviews.py.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from PIL import Image

from backend.errors import RequestError
from backend.labelstudio.brush_rle import OPAQUE, decode_mask
from backend.labelstudio.label_config import BITMASK, BRUSH, POLYGON, RECTANGLE, LabelConfig
from wsol_core.config import MAX_IMAGE_PIXELS
from wsol_core.data.decoding import memory_to_decode
from wsol_core.errors import DataError
from wsol_core.ops.boxes import box_iou
from wsol_core.records import BoolMask, BoxXyxy

# The origins of what an editor took over from a prediction: nobody, or somebody, changed it.
UNTOUCHED, CHANGED = "prediction", "prediction-changed"
MOST = 1e300  # no number that means anything is as large, and none larger fits in a float
MOVED_PERCENT = 0.01  # what an editor's arithmetic may move a number by that nobody touched

MASK_CODES = {BRUSH: "rle", BITMASK: "imageDataURL"}  # where a region's value has its mask
_PNG = "data:image/png;base64,"

Json = Mapping[str, Any]


def regions_of(source: Json, config: LabelConfig) -> list[Json]:
    """The boxes, polygons and masks of an annotation or prediction, as far as the config has a control for them."""
    results = source.get("result")
    return [each for each in results if _is_region(each, config)] if isinstance(results, list) else []


def size_of(region: Json) -> tuple[int, int]:
    """Width and height in pixels of the upright picture, as Label Studio saw it."""
    return (region["original_width"], region["original_height"])


def label_of(region: Json, config: LabelConfig) -> str | None:
    """The region's class as the config writes it; None where it has none of the config's."""
    names = region["value"].get(str(region.get("type")))
    name = names[0] if isinstance(names, list) and names else None
    return config.label_for(name) if isinstance(name, str) else None


def box_of(region: Json) -> BoxXyxy | None:
    """The upright box, in pixels, around a rectangle, which may be turned about its upper left corner; None: empty."""
    value, (width, height) = region["value"], size_of(region)
    numbers = [value.get(name, 0) for name in ("x", "y", "width", "height", "rotation")]
    if not all(isinstance(number, int | float) and abs(number) < MOST for number in numbers):
        return None
    x, y, w, h, rotation = (float(number) for number in numbers)
    x, w, y, h, turn = x * width / 100, w * width / 100, y * height / 100, h * height / 100, math.radians(rotation)
    corners = [(a, b) for a in (0.0, w) for b in (0.0, h)]
    xs = np.clip([x + a * math.cos(turn) - b * math.sin(turn) for a, b in corners], 0, width)
    ys = np.clip([y + a * math.sin(turn) + b * math.cos(turn) for a, b in corners], 0, height)
    if xs.min() < xs.max() and ys.min() < ys.max():
        return (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))
    return None


def mask_of(region: Json) -> BoolMask | None:
    """The mask (H, W) of a brush, a bitmask or a polygon in the whole picture; None where it cannot be read."""
    value, kind, size_wh = region["value"], region.get("type"), size_of(region)
    if size_wh[0] * size_wh[1] > MAX_IMAGE_PIXELS:
        return None
    try:
        if kind == BRUSH:
            return decode_mask(value.get("rle", ()), size_wh)
        if kind == BITMASK:
            return _bitmask(str(value.get("imageDataURL")), size_wh)
        if kind == POLYGON:
            return _polygon(value.get("points"), size_wh)
    except (RequestError, DataError, ValueError, TypeError, ArithmeticError, OSError, SyntaxError):
        return None
    return None


def same_value(predicted: Json, final: Json) -> bool:
    """Whether nothing of a predicted region was changed: neither its shape nor its label.

    What the editor adds by itself, such as `rotation: 0`, is no change; nor is another code of the same mask: it codes
    masks anew, whether touched or not.
    """
    code = MASK_CODES.get(str(predicted.get("type")))
    return all(
        _same(value, final["value"].get(key)) or (key == code and _same_mask(predicted, final))
        for key, value in predicted["value"].items()
    )


def region_iou(predicted: Json, final: Json) -> float | None:
    """How far two regions of one kind cover each other, in [0, 1]; None where one of them cannot be read."""
    if predicted.get("type") != final.get("type"):
        return None
    if predicted.get("type") == RECTANGLE:
        return _box_iou(predicted, final)
    if size_of(predicted) != size_of(final):
        return None
    first, second = mask_of(predicted), mask_of(final)
    if first is None or second is None:
        return None
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else None


def _is_region(result: object, config: LabelConfig) -> bool:
    if not isinstance(result, Mapping) or not isinstance(result.get("value"), Mapping):
        return False
    control = config.control(str(result.get("from_name")))
    sides = (result.get("original_width"), result.get("original_height"))
    return control in config.region_controls and all(isinstance(side, int) and side > 0 for side in sides)


def _box_iou(predicted: Json, final: Json) -> float | None:
    """In shares of the picture, so that sizes that differ do not matter."""
    found = (box_of(predicted), box_of(final))
    shares = [
        (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
        for box, (width, height) in zip(found, (size_of(predicted), size_of(final)), strict=True)
        if box is not None
    ]
    if len(shares) < 2:
        return None
    return float(box_iou(np.array(shares[:1]), np.array(shares[1:]), inclusive=False)[0, 0])


def _same_mask(predicted: Json, final: Json) -> bool:
    one, other = mask_of(predicted), mask_of(final)
    return one is not None and other is not None and np.array_equal(one, other)


def _same(one: Any, other: Any) -> bool:
    if one == other:
        return True
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return numbers and abs(one - other) <= MOVED_PERCENT


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
        with memory_to_decode(image, image.size, size_wh[0] * size_wh[1]):
            return np.asarray(image.convert("RGBA"))[..., 3] >= OPAQUE


def _polygon(points: Any, size_wh: tuple[int, int]) -> BoolMask | None:
    width, height = size_wh
    corners = np.asarray(points, np.float64).reshape(-1, 2) * (width / 100, height / 100)
    if not (len(corners) and np.isfinite(corners).all()):  # OpenCV has errors of its own for these
        return None
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [np.clip(corners, -1, 2 * max(size_wh)).round().astype(np.int32)], 1)
    return canvas.astype(np.bool_)
