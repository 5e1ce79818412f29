"""The last look at a prediction before it leaves: what must never reach Label Studio, which checks less than this.

Knows the JSON and the labeling config, not how a prediction is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from backend.errors import BackendError
from backend.labelstudio.controls import (
    BITMASK,
    BRUSH,
    CHOICE_KINDS,
    ELLIPSE,
    POLYGON,
    RECTANGLE,
    VECTOR,
    Control,
)
from backend.labelstudio.label_config import LabelConfig

_TOLERANCE = 1e-6  # percent
_DATA_URL = "data:image/png;base64,"


def check_prediction(prediction: Mapping[str, Any], config: LabelConfig) -> None:
    """Raises BackendError with all that is wrong: a prediction that is refused here is this program's own mistake."""
    wrong = list(_mistakes(prediction, config))
    if wrong:
        raise BackendError(f"A prediction is not fit for Label Studio: {'; '.join(wrong)}. Please report this.")


def _mistakes(prediction: Mapping[str, Any], config: LabelConfig) -> Iterator[str]:
    if not isinstance(prediction.get("model_version"), str):
        yield f"model_version {prediction.get('model_version')!r} is no text"
    if not _is_number(prediction.get("score"), 0, 1):
        yield f"score {prediction.get('score')!r} is not in [0, 1]"
    results = prediction.get("result")
    if not isinstance(results, list) or not all(isinstance(result, Mapping) for result in results):
        yield "result is no list of regions"
        return
    ids = [result.get("id") for result in results]
    # A tag without labels and the one that names its regions say the same id.
    names = {(str(result.get("id")), result.get("from_name")) for result in results}
    if not all(isinstance(name, str) and name for name in ids) or len(names) < len(ids):
        yield f"the ids {ids} are not one for each region"
    for number, result in enumerate(results):
        for mistake in _result_mistakes(result, config):
            yield f"region {number}: {mistake}"


def _result_mistakes(result: Mapping[str, Any], config: LabelConfig) -> Iterator[str]:
    control = config.control(str(result.get("from_name"))) or _naming(str(result.get("from_name")), config)
    if control is None or not control.fillable or control.read_only:
        yield f"from_name {result.get('from_name')!r} is no control to fill"
        return
    if result.get("to_name") != control.to_name:
        yield f"to_name {result.get('to_name')!r} is not {control.to_name!r}"
    if result.get("type") != control.type:
        yield f"type {result.get('type')!r} is not {control.type!r}"
    if result.get("image_rotation") != 0:
        yield f"image_rotation {result.get('image_rotation')!r} is not 0"
    for key in ("original_width", "original_height"):
        if not (isinstance(result.get(key), int) and result[key] > 0):
            yield f"{key} {result.get(key)!r} is no size in pixels"
            return
    if not _is_number(result.get("score"), 0, 1):
        yield f"score {result.get('score')!r} is not in [0, 1]"
    value = result.get("value")
    if isinstance(value, Mapping):
        yield from _value_mistakes(value, control, result["original_width"] * result["original_height"])
    else:
        yield "value is missing"


def _naming(name: str, config: LabelConfig) -> Control | None:
    """A tag that names regions which another one holds, as a control of its own."""
    for control in config.region_controls:
        if control.source is not None and control.source.name == name:
            return replace(control, name=name, kind=control.source.kind, source=None)
    return None


def _value_mistakes(value: Mapping[str, Any], control: Control, pixels: int) -> Iterator[str]:
    labels = value.get(control.kind)
    known = [control.written(label) for label in control.labels]
    if control.source is not None:
        labels = []  # another result has them
    elif not (isinstance(labels, list) and labels and all(label in known for label in labels)):
        yield f"{control.kind} {labels!r} are no labels of {control.name!r}"
    elif len(labels) > 1 and not control.multiple:
        yield f"{control.kind} {labels!r} are more than one"
    if control.kind == RECTANGLE and not _is_rectangle(value):
        yield f"rectangle {dict(value)} is empty or not within the picture"
    if control.kind in (POLYGON, VECTOR) and not _is_polygon(value):
        yield "points are fewer than three, not closed, or not within the picture"
    if control.kind == BRUSH and not _is_rle(value, pixels):
        yield "rle is no list of bytes for a picture of this size"
    if control.kind == BITMASK and not str(value.get("imageDataURL")).startswith(_DATA_URL):
        yield "imageDataURL is no PNG in a data URI"
    if control.kind == ELLIPSE and not _is_ellipse(value):
        yield f"ellipse {dict(value)} is empty or has no centre in the picture"
    if control.kind in CHOICE_KINDS and isinstance(labels, list) and len(set(map(str, labels))) < len(labels):
        yield f"choices {labels!r} repeat themselves"


def _is_rectangle(value: Mapping[str, Any]) -> bool:
    sides = [value.get(key) for key in ("x", "y", "width", "height")]
    if not all(_is_number(side, 0, 100) for side in sides) or value.get("rotation") != 0:
        return False
    x, y, width, height = (float(side) for side in sides if side is not None)
    return width > 0 and height > 0 and max(x + width, y + height) <= 100 + _TOLERANCE


def _is_ellipse(value: Mapping[str, Any]) -> bool:
    radii = [value.get(key) for key in ("radiusX", "radiusY")]
    return all(_is_number(value.get(key), 0, 100) for key in ("x", "y")) and all(
        _is_number(radius, 0, 100) and radius for radius in radii
    )


def _is_polygon(value: Mapping[str, Any]) -> bool:
    points = value.get("points")
    if (vertices := value.get("vertices")) is not None:
        points = [[each.get("x"), each.get("y")] for each in vertices]
    return (
        value.get("closed") is True
        and isinstance(points, list)
        and len(points) >= 3
        and all(len(point) == 2 and all(_is_number(part, 0, 100) for part in point) for point in points)
    )


def _is_rle(value: Mapping[str, Any], pixels: int) -> bool:
    """The first four bytes say how many channel values follow."""
    rle = value.get("rle")
    return (
        value.get("format") == "rle"
        and isinstance(rle, list)
        and all(type(byte) is int and 0 <= byte <= 255 for byte in rle)
        and int.from_bytes(bytes(rle[:4]), "big") == 4 * pixels
    )


def _is_number(value: object, least: float, most: float) -> bool:
    """A finite number of Python's own within these bounds."""
    return type(value) in (int, float) and math.isfinite(value) and least <= value <= most  # type: ignore[arg-type,operator]
