"""Label Studio's labeling config: a picture, and which control tags there are to fill for it, with which labels.

Parses XML into frozen values. What a task says is in task_labels.py, what a prediction looks like in results.py; which
tags are read, filled, or named as not supported stands in docs/label-studio.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from xml.etree import ElementTree as ET

from backend.errors import RequestError
from backend.labelstudio import config_xml
from backend.labelstudio.class_names import ClassGroup, NameIndex
from backend.labelstudio.config_xml import attributes_of, tag_of
from backend.labelstudio.controls import (
    CHOICE_KINDS,
    KINDS,
    LABELS,
    Control,
    classes_of,
    join_controls,
    read_controls,
    remarks_on,
    remarks_on_tags,
)
from backend.labelstudio.task_values import expressions, look_up, value_of

_ADVICE = "Connect a RectangleLabels, PolygonLabels, BrushLabels, BitmaskLabels or Choices tag that has labels"

Renames = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LabelConfig:
    """The Image tag that is worked on, and the controls connected to it, in the config's order.

    `image_key` and `label_keys` are keys of a task's data; `label_keys` are those that the config shows beside the
    picture, such as in `<Header value="Class: $label"/>`. `image_value` is what the Image tag says of the picture.
    `item_index` is the page, where one tag shows several. `names` are those of all tags, also of other pictures, and
    `is_only` is whether the config has one Image tag. `remarks` are sentences about what of the config is neither read
    nor filled. Where the config means something else for each task, `varies`, `views` says what; only then are `xml`
    and `renames` needed. `pictures` is what it means for each of several pictures, the same for all tasks.
    `class_names` pairs labels with what the first tag of all pictures calls their class.
    """

    image: str
    image_key: str
    controls: tuple[Control, ...]
    label_keys: tuple[str, ...] = ()
    image_value: str = ""
    item_index: int | None = None
    names: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()
    varies: bool = False
    xml: str = ""
    renames: Renames = ()
    class_names: Renames = ()
    is_only: bool = False
    pictures: tuple[LabelConfig, ...] = ()

    @classmethod
    def parse(cls, xml: str, renames: Mapping[str, str] = MappingProxyType({})) -> LabelConfig:
        """Read a config; of several pictures the first with something to fill.

        Args: renames: classes by the names that they had before: old name -> new name.
        Raises: RequestError, naming what is missing or has no meaning.
        """
        pairs = tuple(renames.items())
        views = _read(xml, None, pairs)
        remarks = tuple(dict.fromkeys(remark for each in views for remark in each.remarks))
        first, several = replace(views[0], xml=xml, renames=pairs, remarks=remarks), len(views) > 1
        if several and not any(each.varies for each in views):
            return replace(first, varies=True, pictures=tuple(views))
        return replace(first, varies=several or first.varies)

    @property
    def digest(self) -> str:
        """Return what is different for configs, or renames, of which one may read tasks in another way."""
        text = self.xml + "".join(f"\n{old} -> {new}" for old, new in self.renames)
        return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()

    def views(self, data: object) -> tuple[LabelConfig, ...]:
        """Return what the config means for a task with such data: a config for each of its pictures, at least one."""
        if self.pictures or not self.varies:
            return self.pictures or (self,)
        return tuple(replace(view, varies=False) for view in _read(self.xml, data, self.renames))

    @property
    def region_controls(self) -> tuple[Control, ...]:
        """The controls that take boxes, polygons or masks, without the skipped ones."""
        return tuple(control for control in self.controls if control.fillable and control.is_region)

    @property
    def filled_controls(self) -> tuple[Control, ...]:
        """Those of `region_controls` that predictions fill."""
        return tuple(control for control in self.region_controls if not control.read_only)

    @property
    def choices(self) -> tuple[Control, ...]:
        """The controls that take classes of the whole picture, without the skipped ones."""
        return tuple(control for control in self.controls if control.fillable and control.kind in CHOICE_KINDS)

    @property
    def classes(self) -> tuple[str, ...]:
        """What a picture can show, in order of appearance; see controls.classes_of."""
        return tuple(self._class_of(group) for group in self._groups)

    @cached_property
    def _groups(self) -> tuple[ClassGroup, ...]:
        return classes_of(self.controls)

    @cached_property
    def _names(self) -> NameIndex:
        named = [(group, self._class_of(group)) for group in self._groups]
        labels = [(label, name) for group, name in named for label in group.labels.values()]
        return NameIndex([*labels, *((other, name) for group, name in named for other in group.synonyms)])

    @cached_property
    def _class_names(self) -> dict[str, str]:
        return dict(self.class_names)

    def _class_of(self, group: ClassGroup) -> str:
        return self._class_names.get(group.name, group.name)

    def control(self, name: str) -> Control | None:
        """The control of that name, skipped or not."""
        return next((control for control in self.controls if control.name == name), None)

    def control_of(self, result: Mapping[str, object]) -> Control | None:
        """The control that a result is of; a region of a tag that is gone is of the only one of its type.

        So is a picture's tag that is gone the only one of the config.
        """
        name, image = str(result.get("from_name")), str(result.get("to_name", self.image))
        if self.is_another(name) or (image != self.image and (self.is_another(image) or not self.is_only)):
            return None
        alike = [control for control in self.region_controls if control.type == result.get("type")]
        found = self.control(name) or (alike[0] if len(alike) == 1 else None)
        if found is None or self.item_index is None:
            return found
        item = result.get("item_index", None if found.kind in CHOICE_KINDS else 0)
        return found if item in (None, self.item_index) else None

    def is_another(self, name: str) -> bool:
        """Return whether there is a tag of that name, and it belongs to no part of this."""
        return name in self.names and name != self.image and self.control(name) is None

    def label_for(self, name: str) -> str | None:
        """How the config writes a class; None for what is not among `classes`. An exact name anywhere wins."""
        return self._names.find(name)


def unknown_classes(config: LabelConfig, classes: Sequence[str]) -> list[str]:
    """Return those of a model's classes that the config has no label for, so that they are never shown."""
    if config.varies:  # what the tasks' own labels are, no config says
        return []
    return [name for name in classes if config.label_for(name) is None]


def unknown_sentence(project_id: str, version: str, unknown: Sequence[str]) -> str:
    """Return what to tell people of `unknown_classes`."""
    names = ", ".join(map(repr, unknown))
    return (
        f"{version} knows {names}, which the labeling config has no label for, so nothing of it is predicted; if it is "
        f'called otherwise now, `boxstrap classes {project_id} --rename "{unknown[0]}=NEW NAME"` says so, or '
        f'predicted_values="{unknown[0]}" on its label; else train again.'
    )


def _read(xml: str, data: object, renames: Renames) -> list[LabelConfig]:
    """Return a config for each picture of a task with such data; data None: as far as all tasks are alike."""
    written = config_xml.parse_xml(xml)
    if (tags := sum(tag_of(element) == "image" for element in written.iter())) > config_xml.MOST_PAGES:
        raise RequestError(
            f"The labeling config has {tags} Image tags; leave out some, {config_xml.MOST_PAGES} are the most."
        )
    root = config_xml.repeated(written, data)
    images = [attributes_of(element) for element in root.iter() if tag_of(element) == "image"]
    images = [image for image in images if image.get("name")]
    if not images:
        raise RequestError(
            'The labeling config has no Image tag with a name. Add <Image name="image" value="$image"/>.'
        )
    for element in root.iter():
        _fill_in(element, data)
    controls = join_controls(read_controls(root), renames)
    has_regions = any(control.is_region and control.fillable for control in controls)
    # Beside a picture to draw in, one that has Choices alone is there for remarks.
    filled = {control.to_name for control in controls if control.fillable and control.is_region >= has_regions}
    names = tuple((label, group.name) for group in classes_of(controls) for label in group.labels.values())
    if not any(image["name"] in filled for image in images):
        raise RequestError(_nothing_to_fill([image["name"] for image in images], root))
    config = _Config(
        controls=_by_picture(controls),
        names=frozenset(attributes_of(element).get("name", "") for element in root.iter()) - {""},
        shown=tuple(_shown_keys(root)),
        remarks=tuple(remarks_on_tags(root)),
        class_names=names,
        is_repeated=bool(config_xml.repeaters(written)),
        is_only=len(images) == 1,
    )
    return [view for image in images if image["name"] in filled for view in _of_image(image, config, data)]


@dataclass(frozen=True, slots=True)
class _Config:
    """What a config has for all its pictures. `controls`: by the name of their picture. `shown`: keys of data."""

    controls: Mapping[str, Sequence[Control]]
    names: frozenset[str]
    shown: tuple[str, ...]
    remarks: tuple[str, ...]
    class_names: Renames
    is_repeated: bool
    is_only: bool


def _by_picture(controls: Sequence[Control]) -> dict[str, list[Control]]:
    found: dict[str, list[Control]] = {}
    for control in controls:
        found.setdefault(control.to_name, []).append(control)
    return found


def _of_image(image: Mapping[str, str], config: _Config, data: object) -> Iterator[LabelConfig]:
    """Return a config for each page of an Image tag."""
    has_pages = "valuelist" in image
    own = config.controls.get(image["name"], ())
    joined = tuple(control for control in own if has_pages or not control.per_item)
    remarks = (*remarks_on(joined), *config.remarks)
    varies = config.is_repeated or has_pages or any(control.dynamic for control in joined)
    for number, value in _pages(image, data):
        key = next(expressions(value), None)
        if key is None:
            raise RequestError(
                f'Image tag {image["name"]!r} names no key of the task\'s data (value={value!r}). Write value="$image".'
            )
        shown = tuple(each for each in config.shown if each != key)
        yield LabelConfig(
            image["name"],
            key,
            joined,
            shown,
            value,
            number,
            config.names,
            remarks,
            varies,
            class_names=config.class_names,
            is_only=config.is_only,
        )


def _fill_in(element: ET.Element, data: object) -> None:
    """Add the labels that the task brings to a control that takes them from its data."""
    value = attributes_of(element).get("value", "")
    if value.startswith("$") and tag_of(element) in (*KINDS, LABELS):
        tag = "Choice" if tag_of(element) in CHOICE_KINDS else "Label"
        config_xml.add_dynamic_labels(element, value_of(value, data), tag)


def _pages(image: Mapping[str, str], data: object) -> Iterator[tuple[int | None, str]]:
    """Return number and value of each page of an Image tag; the number is None where it has no pages."""
    listed = image.get("valuelist", "").strip()
    if not listed:
        yield None, image.get("value", "").strip()
        return
    items = look_up(listed.lstrip("$"), data)
    for number in range(min(len(items), config_xml.MOST_PAGES) if isinstance(items, list) and items else 1):
        yield number, f"{listed}[{number}]" if isinstance(items, list) or data is None else listed


def _shown_keys(root: ET.Element) -> Iterator[str]:
    """The data keys in the values of all tags but controls and their labels (those are lists of options)."""
    no_values = (*KINDS, LABELS, "label", "choice")
    values = (attributes_of(element).get("value", "") for element in root.iter() if tag_of(element) not in no_values)
    return iter(dict.fromkeys(key for value in values for key in expressions(value)))


def _nothing_to_fill(images: list[str], root: ET.Element) -> str:
    found = [str(element.tag) for element in root.iter() if "toname" in attributes_of(element)]
    return (
        f"The labeling config has no control tag that this model can fill (found: {', '.join(found)[:200] or 'none'}). "
        f'{_ADVICE} to the Image tag (toName="{images[0]}").'
    )
