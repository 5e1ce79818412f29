"""One region: what it is called, where it is, and how far two of them cover each other.

Regions come from regions.py in one form. People and other programs write these: what is malformed has no label, no box
or no mask, and never raises. Which regions belong to a task, and who made them, is in reviews.py.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.errors import RequestError
from backend.labelstudio.brush_rle import OPAQUE, decode_mask
from backend.labelstudio.controls import BITMASK, BRUSH, ELLIPSE, POLYGON, RECTANGLE, VECTOR
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.regions import BITMASK_FORMATS, bitmask_file
from wsol_core.config import MAX_IMAGE_PIXELS
from wsol_core.data.decoding import TRANSPARENT_MODES, memory_to_decode
from wsol_core.errors import DataError
from wsol_core.ops.boxes import box_iou
from wsol_core.records import BoolMask, BoxXyxy

MOST = 1e300  # no number that means anything is as large, and none larger fits in a float
MOVED_PERCENT = 0.01  # what an editor's arithmetic may move a number by that nobody touched
ASKEW_DEGREES = 0.5  # less than a pixel in a hundred
FLAT_PX = 1e-3  # what less than that is wide is a line
CORNERS = 64  # of the polygon that stands for an ellipse

MASK_CODES = {BRUSH: "rle", BITMASK: "imageDataURL"}  # where a region's value has its mask

Json = Mapping[str, Any]


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
    corners = _corners(region)
    if corners is None:
        return None
    width, height = size_of(region)
    xs, ys = np.clip(corners[:, 0], 0, width), np.clip(corners[:, 1], 0, height)
    if xs.min() < xs.max() and ys.min() < ys.max():
        return (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))
    return None


def is_turned(region: Json) -> bool:
    """Whether a rectangle stands askew, so that it covers less than the box around it."""
    numbers = _numbers(region["value"], "rotation")
    return numbers is not None and abs((numbers[0] + 45) % 90 - 45) > ASKEW_DEGREES


def box_of_polygon(region: Json) -> BoxXyxy | None:
    """The box, in pixels, around the corners of a polygon that has a mask; None where it is empty."""
    corners = np.asarray(region["value"]["points"], np.float64).reshape(-1, 2).clip(0, 100)
    corners *= np.array(size_of(region)) / 100
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def mask_of(region: Json) -> BoolMask | None:
    """The mask (H, W) of what a region covers in the whole picture; None where it cannot be read.

    Of a vector that is what is within its points, where it is closed.
    """
    value, kind, size_wh = region["value"], region.get("type"), size_of(region)
    if size_wh[0] * size_wh[1] > MAX_IMAGE_PIXELS:
        return None
    try:
        if kind == BRUSH:
            return decode_mask(value.get("rle", ()), size_wh)
        if kind == BITMASK:
            return _bitmask(value, size_wh)
        if kind == POLYGON:
            return _polygon(value.get("points"), size_wh)
        if kind == VECTOR and value.get("closed"):
            return _polygon([(each["x"], each["y"]) for each in value["vertices"]], size_wh)
        if kind == ELLIPSE:
            return _ellipse(value, size_wh)
        if kind == RECTANGLE:
            return _filled(_corners(region), size_wh)
    except (RequestError, DataError, ValueError, TypeError, KeyError, ArithmeticError, OSError, SyntaxError):
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


def _corners(region: Json) -> NDArray[np.float64] | None:
    """The corners (4, 2) of a rectangle in pixels, one after the other; None where its numbers mean nothing."""
    (width, height), numbers = size_of(region), _numbers(region["value"], "x", "y", "width", "height", "rotation")
    if numbers is None:
        return None
    x, y, w, h, rotation = numbers
    w, h = w * width / 100, h * height / 100
    offsets = np.array([(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)])
    return _turned(offsets, rotation) + (x * width / 100, y * height / 100)


def _numbers(value: Json, *names: str) -> list[float] | None:
    """Numbers of a region's value, which other programs may have written as text, or as null for none; None: no number.

    What is missing is 0.
    """
    try:
        numbers = [float(value.get(name) or 0) for name in names]
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if all(abs(number) < MOST for number in numbers) else None


def _turned(points: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Points (n, 2) turned clockwise about the origin, as Label Studio turns."""
    x, y, turn = points[:, 0], points[:, 1], math.radians(degrees)
    return np.stack([x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)], axis=1)


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


def _bitmask(value: Json, size_wh: tuple[int, int]) -> BoolMask | None:
    """What of a bitmask's picture can be seen, as the editor has it, stretched over the whole picture.

    The editor draws transparent pixels around it; where there can be none, what is not black is meant.
    """
    if (content := bitmask_file(value)) is None:
        return None
    with Image.open(io.BytesIO(content), formats=BITMASK_FORMATS) as image:
        if image.width * image.height > MAX_IMAGE_PIXELS:
            return None
        with memory_to_decode(image, image.size, image.width * image.height):
            is_clear = image.mode in TRANSPARENT_MODES or "transparency" in image.info
            plain = image if image.mode in ("1", "P") else image.convert("L")
            mask = np.asarray(image.convert("RGBA"))[..., 3] >= OPAQUE if is_clear else np.asarray(plain) > 0
    if image.size == size_wh:
        return mask
    return cv2.resize(mask.astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST).astype(np.bool_)


def _polygon(points: Any, size_wh: tuple[int, int]) -> BoolMask | None:
    """What is within points in percent of the picture."""
    return _filled(np.asarray(points, np.float64).reshape(-1, 2) * np.divide(size_wh, 100), size_wh)


def _ellipse(value: Json, size_wh: tuple[int, int]) -> BoolMask | None:
    """What an ellipse covers, which may be turned about its centre."""
    numbers = _numbers(value, "x", "y", "radiusX", "radiusY", "rotation")
    if numbers is None:
        return None
    x, y, across, down, rotation = numbers
    around = np.linspace(0, 2 * math.pi, CORNERS, endpoint=False)
    width, height = size_wh
    edge = np.stack([np.cos(around) * across * width / 100, np.sin(around) * down * height / 100], axis=1)
    return _filled(_turned(edge, rotation) + (x * width / 100, y * height / 100), size_wh)


def _filled(corners: NDArray[np.float64] | None, size_wh: tuple[int, int]) -> BoolMask | None:
    """What is within corners (n, 2) in pixels; None where they lie on a line."""
    width, height = size_wh
    if corners is None or not (len(corners) and np.isfinite(corners).all()):  # OpenCV has errors of its own for these
        return None
    if np.linalg.matrix_rank(corners - corners[0], FLAT_PX) < 2:
        return None
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [np.clip(corners, -1, 2 * max(size_wh)).round().astype(np.int32)], 1)
    return canvas.astype(np.bool_)
