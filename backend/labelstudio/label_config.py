"""Label Studio's labeling config: which control tags there are to fill, with which labels, for which picture.

Parses XML text into frozen values. What a task says is in samples.py, what a prediction looks like in results.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from backend.errors import RequestError, TooLargeError

RECTANGLE, POLYGON, BRUSH, BITMASK = "rectanglelabels", "polygonlabels", "brushlabels", "bitmasklabels"
CHOICES, KEYPOINT = "choices", "keypointlabels"
REGION_KINDS = (RECTANGLE, POLYGON, BRUSH, BITMASK)
KINDS = (*REGION_KINDS, CHOICES, KEYPOINT)

LARGEST_CONFIG = 256 * 1024  # characters; a thousand labels have less than half of that
DEEPEST = 100

_DATA_KEY = re.compile(r"\$(\w[\w.]*)")
_ADVICE = "Connect a RectangleLabels, PolygonLabels, BrushLabels, BitmaskLabels or Choices tag that has labels"


@dataclass(frozen=True, slots=True)
class Control:
    """One control tag. `kind` is the tag in lower case, one of KINDS; key points are only ever a person's prompt.

    `other_names` pairs further names of a label with it: `predicted_values`, and the value that an alias hides.
    `score_threshold` and `min_area` (share of the picture) are in [0, 1]; None where the config says nothing.
    """

    name: str
    kind: str
    to_name: str
    labels: tuple[str, ...]
    smart: bool = False
    multiple: bool = False
    score_threshold: float | None = None
    skip: bool = False
    max_regions: int | None = None
    min_area: float | None = None
    other_names: tuple[tuple[str, str], ...] = ()

    @property
    def fillable(self) -> bool:
        """Whether predictions may carry it."""
        return self.kind != KEYPOINT and bool(self.labels) and not self.skip

    def label_for(self, class_name: str) -> str | None:
        """This control's label for a class; None where it has none. Exact names win, upper and lower case are last."""
        names = [*((label, label) for label in self.labels), *self.other_names]
        exactly = (label for name, label in names if name == class_name)
        loosely = (label for name, label in names if name.casefold() == class_name.casefold())
        return next(exactly, None) or next(loosely, None)


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """The Image tag that is worked on, and the controls connected to it, in the config's order.

    `image_key` and `label_keys` are keys of a task's data; `label_keys` are those that the config shows beside the
    picture, such as in `<Header value="Class: $label"/>`.
    """

    image: str
    image_key: str
    controls: tuple[Control, ...]
    label_keys: tuple[str, ...] = ()

    @classmethod
    def parse(cls, xml: str) -> LabelConfig:
        """Raises RequestError, naming what is missing or has no meaning; TooLargeError where it is larger than any."""
        root = _parse_xml(xml)
        images = [_attributes(element) for element in root.iter() if element.tag.lower() == "image"]
        images = [image for image in images if image.get("name")]
        if not images:
            raise RequestError(
                'The labeling config has no Image tag with a name. Add <Image name="image" value="$image"/>.'
            )
        controls = [control for element, labels in _with_labels(root) for control in _controls(element, labels)]
        names = [image["name"] for image in images]
        fillable = {control.to_name for control in controls if control.fillable}
        chosen = next((image for image in images if image["name"] in fillable), None)
        if chosen is None:
            raise RequestError(_nothing_to_fill(names, root))
        key = next(_data_keys(chosen.get("value", "")), None)
        if key is None:
            raise RequestError(
                f"Image tag {chosen['name']!r} names no key of the task's data "
                f'(value={chosen.get("value", "")!r}). Write value="$image".'
            )
        return cls(
            image=chosen["name"],
            image_key=key,
            controls=tuple(control for control in controls if control.to_name == chosen["name"]),
            label_keys=tuple(shown for shown in _shown_keys(root) if shown != key),
        )

    @property
    def region_controls(self) -> tuple[Control, ...]:
        """The controls that take boxes, polygons or masks, without the skipped ones."""
        return tuple(control for control in self.controls if control.fillable and control.kind in REGION_KINDS)

    @property
    def choices(self) -> tuple[Control, ...]:
        """The controls that take classes of the whole picture, without the skipped ones."""
        return tuple(control for control in self.controls if control.fillable and control.kind == CHOICES)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of all controls that may be filled, in order of appearance."""
        return tuple(dict.fromkeys(label for control in self.controls if control.fillable for label in control.labels))

    def control(self, name: str) -> Control | None:
        """The control of that name, skipped or not."""
        return next((control for control in self.controls if control.name == name), None)

    def label_for(self, name: str) -> str | None:
        """How the config writes a class; None for what is not among `classes`. An exact name anywhere wins."""
        if name in self.classes:
            return name
        found = (control.label_for(name) for control in self.controls if control.fillable)
        return next((label for label in found if label), None)


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


def _parse_xml(xml: str) -> ET.Element:
    if len(xml) > LARGEST_CONFIG:
        raise TooLargeError(f"The labeling config has {len(xml):,} characters. Shorten it to {LARGEST_CONFIG:,}.")
    try:
        return ET.fromstring(xml, parser=ET.XMLParser(target=_NoDoctype()))
    except ET.ParseError as error:
        raise RequestError(f"The labeling config is no XML: {error}. Save it again in Label Studio.") from None
    except ValueError as error:  # such as a lone surrogate, which cannot be encoded
        raise RequestError(f"The labeling config cannot be read: {error}. Save it again in Label Studio.") from None


def _attributes(element: ET.Element) -> dict[str, str]:
    """By lower-case name: Label Studio's editor does not mind the case either."""
    return {name.lower(): value for name, value in element.attrib.items()}


def _is_true(value: str | None) -> bool:
    return value is not None and value.strip().lower() in ("true", "1")


def _with_labels(root: ET.Element) -> Iterator[tuple[ET.Element, list[ET.Element]]]:
    """Every element with the labels and choices in it that belong to no control further inside; in their order."""
    owned: dict[ET.Element, list[ET.Element]] = {}
    waiting: list[tuple[ET.Element, ET.Element | None]] = [(root, None)]
    while waiting:
        element, control = waiting.pop()
        owned[element] = []
        kind = element.tag.lower()
        if control is not None and kind in ("label", "choice"):
            owned[control].append(element)
        inside = element if kind in KINDS else control
        waiting += [(child, inside) for child in reversed(element)]
    return iter(owned.items())


def _controls(element: ET.Element, labels_inside: list[ET.Element]) -> Iterator[Control]:
    """A Control for each tag that an element is connected to; none if the element is no control that we know."""
    attributes, kind = _attributes(element), element.tag.lower()
    if kind not in KINDS or not attributes.get("name"):
        return
    if kind == CHOICES and (_is_true(attributes.get("perregion")) or _is_true(attributes.get("peritem"))):
        return  # says something of a region, not of the picture
    labels, other_names = _labels(labels_inside)
    for to_name in dict.fromkeys(name.strip() for name in attributes.get("toname", "").split(",")):
        if to_name:
            yield Control(
                name=attributes["name"],
                kind=kind,
                to_name=to_name,
                labels=labels,
                smart=_is_true(attributes.get("smart")),
                multiple=kind == CHOICES and attributes.get("choice", "").lower() == "multiple",
                score_threshold=_share(attributes, "model_score_threshold", "score_threshold"),
                skip=_is_true(attributes.get("model_skip")),
                max_regions=_count(attributes, "model_max_regions"),
                min_area=_share(attributes, "model_min_area"),
                other_names=other_names,
            )


def _labels(elements: list[ET.Element]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Labels as results carry them (the alias, where there is one), and their other names with them."""
    labels: list[str] = []
    other_names: list[tuple[str, str]] = []
    for element in elements:
        attributes = _attributes(element)
        value = attributes.get("value", "")
        label = attributes.get("alias") or value
        if not label:
            continue
        labels.append(label)
        others = [name.strip() for name in attributes.get("predicted_values", "").split(",")]
        other_names += [(name, label) for name in (value, *others) if name and name != label]
    return tuple(dict.fromkeys(labels)), tuple(dict.fromkeys(other_names))


def _share(attributes: Mapping[str, str], *names: str) -> float | None:
    """The first of these attributes that is there, in [0, 1]."""
    name = next((name for name in names if name in attributes), None)
    if name is None:
        return None
    try:
        share = float(attributes[name])
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise RequestError(_meaningless(attributes, name, "a number from 0 to 1"))
    return share


def _count(attributes: Mapping[str, str], name: str) -> int | None:
    if name not in attributes:
        return None
    text = attributes[name].strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise RequestError(_meaningless(attributes, name, "a whole number from 1"))
    return int(text)


def _meaningless(attributes: Mapping[str, str], name: str, wanted: str) -> str:
    return (
        f"{name}={attributes[name][:40]!r} of control tag {attributes['name'][:40]!r} has no meaning. Write {wanted}."
    )


def _data_keys(text: str) -> Iterator[str]:
    """ "Class: $label." -> "label"."""
    return (found.group(1).rstrip(".") for found in _DATA_KEY.finditer(text))


def _shown_keys(root: ET.Element) -> Iterator[str]:
    """The data keys in the values of all tags but controls and their labels (those are lists of options)."""
    no_values = (*KINDS, "label", "choice")
    values = (_attributes(element).get("value", "") for element in root.iter() if element.tag.lower() not in no_values)
    return iter(dict.fromkeys(key for value in values for key in _data_keys(value)))


def _nothing_to_fill(images: list[str], root: ET.Element) -> str:
    found = [element.tag for element in root.iter() if "toname" in _attributes(element)]
    return (
        f"The labeling config has no control tag that this model can fill (found: {', '.join(found)[:200] or 'none'}). "
        f'{_ADVICE} to the Image tag (toName="{images[0]}").'
    )
