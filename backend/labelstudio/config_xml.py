"""The XML of a labeling config: parsed safely, filled in with a task's data, and its labels and attributes read.

What the tags mean together is in label_config.py.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from backend.errors import RequestError, TooLargeError
from backend.labelstudio.class_names import SEPARATOR, as_text
from backend.labelstudio.task_values import look_up

LARGEST_CONFIG = 256 * 1024  # characters; a thousand labels have less than half of that
DEEPEST = 100
MOST_PAGES = 500  # of one task
MOST_REPEATED = 20_000  # tags; a Repeater over more would make a config that no editor shows either


class _NoDoctype(ET.TreeBuilder):
    """Document types are where entities come from, and no labeling config needs one. Nor is any nested that deep."""

    _depth = 0

    def start(self, tag: str, attrs: dict[str, str]) -> ET.Element:
        self._depth += 1
        if self._depth > DEEPEST:
            raise RequestError(f"The labeling config is nested more than {DEEPEST} tags deep. Make it flatter.")
        return super().start(tag, attrs)

    def end(self, tag: str) -> ET.Element:
        self._depth -= 1
        return super().end(tag)

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise RequestError(f"The labeling config has a document type ({name!r}). Remove the <!DOCTYPE ...> from it.")


def parse_xml(xml: str) -> ET.Element:
    """Return the root.

    Raises: RequestError where it is no XML, or has a document type; TooLargeError where it is larger than any.
    """
    if len(xml) > LARGEST_CONFIG:
        raise TooLargeError(f"The labeling config has {len(xml):,} characters. Shorten it to {LARGEST_CONFIG:,}.")
    try:
        return ET.fromstring(xml.lstrip("\ufeff \t\r\n"), parser=ET.XMLParser(target=_NoDoctype()))
    except ET.ParseError as error:
        raise RequestError(f"The labeling config is no XML: {error}. Save it again in Label Studio.") from None
    except ValueError as error:  # such as a lone surrogate, which cannot be encoded
        raise RequestError(f"The labeling config cannot be read: {error}. Save it again in Label Studio.") from None


def tag_of(element: ET.Element) -> str:
    """Return the tag in lower case and without a namespace, neither of which Label Studio's editor minds."""
    return str(element.tag).rpartition("}")[2].lower()


def attributes_of(element: ET.Element) -> dict[str, str]:
    """Return the attributes by lower-case name."""
    return {name.lower(): value for name, value in element.attrib.items()}


def is_true(value: str | None) -> bool:
    """Return whether an attribute says yes."""
    return value is not None and value.strip().lower() in ("true", "1")


def share(attributes: Mapping[str, str], *names: str) -> float | None:
    """Return the first of these attributes that is not empty, in [0, 1]. Raises: RequestError where it is no number."""
    name = next((name for name in names if attributes.get(name, "").strip()), None)
    if name is None:
        return None
    try:
        value = float(attributes[name])
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise RequestError(_meaningless(attributes, name, "a number from 0 to 1"))
    return value


def count(attributes: Mapping[str, str], name: str) -> int | None:
    """Return an attribute that is a whole number above 0. Raises: RequestError where it is none."""
    text = attributes.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise RequestError(_meaningless(attributes, name, "a whole number from 1"))
    return int(text)


def _meaningless(attributes: Mapping[str, str], name: str, wanted: str) -> str:
    return (
        f"{name}={attributes[name][:40]!r} of control tag {attributes['name'][:40]!r} has no meaning. Write {wanted}."
    )


@dataclass(frozen=True, slots=True)
class Labels:
    """What a control offers. `synonyms` are (name, label); `paths` say for each label of a tree where it stands."""

    labels: tuple[str, ...]
    synonyms: tuple[tuple[str, str], ...]
    paths: tuple[tuple[str, tuple[str, ...]], ...]


def labels_of(element: ET.Element) -> Labels:
    """Return labels as results carry them, the alias where there is one, with their further names.

    In a tree the last part of a path is the label, unless several paths end with it: then the whole path is.
    """
    options = list(_options(element, ()))
    leaves = Counter(path[-1] for path in dict.fromkeys(path for path, _ in options))
    labels: dict[str, tuple[str, ...]] = {}
    synonyms: dict[tuple[str, str], None] = {}
    for path, attributes in options:
        whole = SEPARATOR.join(path)
        label = path[-1] if leaves[path[-1]] == 1 else whole
        labels.setdefault(label, path)
        predicted = [name.strip() for name in attributes.get("predicted_values", "").split(",")]
        names = (attributes.get("value", ""), *predicted, whole, "/".join(path))
        synonyms |= {(name, label): None for name in names if name and name != label}
    return Labels(tuple(labels), tuple(synonyms), tuple(labels.items()))


def _options(element: ET.Element, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    for child in element:
        if "toname" in (attributes := attributes_of(child)):
            continue  # a control inside of another has its own labels
        path = above
        label = attributes.get("alias") or attributes.get("value") or ""
        if tag_of(child) in ("label", "choice") and label.strip():
            path = (*above, label)
            yield path, attributes
        yield from _options(child, path)


def repeaters(root: ET.Element) -> list[ET.Element]:
    """Return the tags that repeat what is in them, once for each item of a list in the task's data."""
    return [element for element in root.iter() if tag_of(element) == "repeater"]


def repeated(root: ET.Element, data: object) -> ET.Element:
    """Return the config with what its Repeaters repeat; once, where the data is unknown."""
    root = copy.deepcopy(root)
    for parent in list(root.iter()):
        for place, child in reversed(list(enumerate(parent))):
            if tag_of(child) == "repeater":
                parent.remove(child)
                for number, each in enumerate(_copies(child, data)):
                    parent.insert(place + number, each)
    return root


def _copies(repeater: ET.Element, data: object) -> Iterator[ET.Element]:
    attributes = attributes_of(repeater)
    items = look_up(attributes.get("on", "").strip().lstrip("$"), data)
    flag = attributes.get("indexflag") or "{{idx}}"
    most = min(MOST_PAGES, max(1, MOST_REPEATED // sum(1 for _ in repeater.iter())))
    for number in range(min(len(items), most) if isinstance(items, list) else 1):
        for child in repeater:
            each = copy.deepcopy(child)
            for element in each.iter():
                element.attrib = {name: value.replace(flag, str(number)) for name, value in element.attrib.items()}
            yield each


def add_dynamic_labels(element: ET.Element, options: object, tag: str) -> None:
    """Put the labels that a task's data brings into a control: names, or objects with `value`, `alias`, `children`."""
    for option in options if isinstance(options, list) else []:
        known = option if isinstance(option, Mapping) else {"value": option}
        names = {name: text for name in ("value", "alias") if (text := as_text(known.get(name)))}
        if names:
            add_dynamic_labels(ET.SubElement(element, tag, names), known.get("children"), tag)
