"""The regions of an annotation or a prediction, in the one form that everything else reads.

Label Studio has several for the same: a RectangleLabels is one result, a Rectangle with Labels two with one id, and a
Rectangle with Choices per region as well; a region may have several labels, or no size of the picture, as imported
ones. Here each is a result of the tag with labels, with one label, and with a size.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from PIL import Image

from backend.labelstudio.annotations import listed
from backend.labelstudio.class_names import as_text
from backend.labelstudio.controls import BITMASK, LABELS, Control
from backend.labelstudio.label_config import LabelConfig

# The origins of what an editor took over from a prediction: nobody, or somebody, changed it.
UNTOUCHED, CHANGED = "prediction", "prediction-changed"
BITMASK_FORMATS = ("PNG", "WEBP")  # of a canvas
NOMINAL_WH = (1000, 1000)  # of a picture whose size nobody says: regions are in percent of it
_DATA_URL = re.compile(r"\s*data:image/(png|webp);base64,", re.IGNORECASE)

Json = Mapping[str, Any]
Name = str | tuple[str, ...]  # of a label; the whole path where it stands in a tree


def regions_of(source: Json, config: LabelConfig, size_wh: tuple[int, int] | None = None) -> list[Json]:
    """Return the boxes, outlines and masks of an annotation or prediction, as far as the config has a control for them.

    Args: size_wh: of the picture, in pixels; for regions that do not say it.
    """
    results = listed(source, "result")
    size_wh = size_wh or known_size(source) or NOMINAL_WH
    return [region for each in results for region in _of_result(each, results, config, size_wh)]


def known_size(*sources: Json) -> tuple[int, int] | None:
    """Return the picture's width and height in pixels as the first result that has it says."""
    sizes = (_size_in(result) for source in sources for result in listed(source, "result"))
    return next((size for size in sizes if size is not None), None)


def names_in(value: Json, kind: str) -> list[Name]:
    """Return the labels of a result; paths as tuples. Numbers are taken as the text that they are."""
    listed_names = value.get(kind)
    if not isinstance(listed_names, list):
        listed_names = [listed_names]
    found: list[Name] = []
    for each in listed_names:
        parts = [text for part in each if (text := as_text(part))] if isinstance(each, list) else as_text(each)
        if parts:
            found.append(tuple(parts) if isinstance(parts, list) else parts)
    return found


def _of_result(result: Json, results: list[Json], config: LabelConfig, size_wh: tuple[int, int]) -> Iterator[Json]:
    control = config.control_of(result)
    if control is None or not (control.is_region and control.fillable):
        return
    if not isinstance(result.get("value"), Mapping):
        return
    if result.get("type") not in (control.type, control.kind):
        return
    value = result["value"]
    # Other programs write the labels of every kind of region under the one key.
    names = names_in(value, control.kind) or names_in(value, LABELS) or _named_by_others(result, control, results)
    width, height = _size_in(result) or _bitmask_size(control, value) or size_wh
    bare = {key: part for key, part in value.items() if key not in (control.kind, LABELS)}
    for number, name in enumerate(dict.fromkeys(names) or [None]):
        labels = [] if name is None else [label_in(name, control)]
        again = {"id": f"{result.get('id')}+{number}"} if number else {}
        yield {
            **result,
            **again,
            "from_name": control.name,
            "type": control.kind,
            "original_width": width,
            "original_height": height,
            "value": {**bare, control.kind: labels},
        }


def label_in(name: Name, control: Control) -> str:
    """Return the label that a path leads to, or its last part; a name as it is."""
    if isinstance(name, str):
        return name
    whole = next((label for label, path in control.paths if path == name), None)
    return whole or control.label_for(" / ".join(name)) or name[-1]


def _named_by_others(result: Json, control: Control, results: list[Json]) -> list[Name]:
    """Return the labels that other results with its id give a region without its own."""
    source, number = control.source, result.get("id")
    if source is None or number is None:
        return []
    return [
        name
        for each in results
        if each.get("id") == number and each.get("from_name") == source.name and isinstance(each.get("value"), Mapping)
        for name in names_in(each["value"], source.kind)
    ]


def sized(result: Json) -> Json | None:
    """Return a result with the size of its picture as whole numbers; None where nothing says it."""
    found = _size_in(result)
    return None if found is None else {**result, "original_width": found[0], "original_height": found[1]}


def _size_in(result: Json) -> tuple[int, int] | None:
    sides = (_number(result.get("original_width")), _number(result.get("original_height")))
    whole = [int(side) for side in sides if isinstance(side, int | float) and 1 <= side < 1e6 and int(side) == side]
    return (whole[0], whole[1]) if len(whole) == 2 else None


def _number(value: object) -> object:
    """Return the number that other programs have written as text; everything else as it is."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 7 else value


def _bitmask_size(control: Control, value: Json) -> tuple[int, int] | None:
    """Return the size of a bitmask, which its own picture says."""
    content = bitmask_file(value) if control.kind == BITMASK else None
    if content is None:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=BITMASK_FORMATS) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def bitmask_file(value: Json) -> bytes | None:
    """Return the picture of a bitmask, in one of BITMASK_FORMATS or torn; None where there is none."""
    url = value.get("imageDataURL")
    found = _DATA_URL.match(url) if isinstance(url, str) else None
    if not isinstance(url, str) or found is None:
        return None
    try:
        return base64.b64decode(unquote(url[found.end() :]), validate=True)
    except ValueError:
        return None
