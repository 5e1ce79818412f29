"""Values that a labeling config takes from a task's data: `$image`, `$images[0].url`, `https://host/$file`.

They mean here what they mean in Label Studio's editor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from backend.labelstudio.class_names import as_text

NAMELESS = "$undefined$"  # the key of data that was imported without one

_EXPRESSION = re.compile(r"\$[\w\[\].{}]+")
_PART = re.compile(r"[^.\[\]]+")


def expressions(text: str) -> Iterator[str]:
    """Return the paths that a text takes from the data.

    Example:
        >>> list(expressions("Class: $meta.class."))
        ['meta.class']
    """
    return (found[0][1:].rstrip(".") for found in _EXPRESSION.finditer(text))


def value_of(text: str, data: object) -> object:
    """Return what a text stands for: the value itself where it is nothing but a path, else the text filled in.

    None where the data lacks it.

    Example:
        >>> value_of("https://host/$images[0].name", {"images": [{"name": "a.jpg"}]})
        'https://host/a.jpg'
    """
    if _EXPRESSION.fullmatch(text.strip()):
        return look_up(text.strip()[1:], data)
    paths = list(expressions(text))
    parts = [part for path in paths if (part := as_text(look_up(path, data))) is not None]
    if not parts or len(parts) < len(paths):
        return None
    filled = iter(parts)
    return _EXPRESSION.sub(lambda found: next(filled) + "." * _dots(found[0]), text)


def look_up(path: str, data: object) -> object:
    """Return data["a.b"], or else data["a"]["b"], and of a list the item at an index; None where there is none."""
    if isinstance(data, Mapping):
        if path in data:
            return data[path]
        if NAMELESS in data and len(data) == 1:
            return data[NAMELESS]
    for part in _PART.findall(path):
        if isinstance(data, list) and part.isascii() and part.isdigit():
            data = data[int(part)] if len(part) < 7 and int(part) < len(data) else None
        else:
            data = data.get(part) if isinstance(data, Mapping) else None
    return data


def _dots(expression: str) -> int:
    """Full stops after a path end a sentence."""
    return len(expression) - len(expression.rstrip("."))
