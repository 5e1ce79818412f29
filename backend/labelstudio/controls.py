"""Control tags of a labeling config: what there is to read and to fill, with which labels, for which classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from xml.etree import ElementTree as ET

from backend.labelstudio import config_xml
from backend.labelstudio.class_names import ClassGroup, NameIndex, group_labels, loose
from backend.labelstudio.config_xml import attributes_of, is_true, tag_of

RECTANGLE, POLYGON, BRUSH, BITMASK = "rectanglelabels", "polygonlabels", "brushlabels", "bitmasklabels"
ELLIPSE, VECTOR = "ellipselabels", "vectorlabels"
CHOICES, TAXONOMY, KEYPOINT = "choices", "taxonomy", "keypointlabels"
REGION_KINDS = (RECTANGLE, POLYGON, BRUSH, BITMASK, ELLIPSE, VECTOR)
CHOICE_KINDS = (CHOICES, TAXONOMY)
KINDS = (*REGION_KINDS, *CHOICE_KINDS, KEYPOINT)
LABELS = "labels"  # the tag that gives labels to regions of Rectangle, Polygon and their like, which have none

_BARE = {kind.removesuffix(LABELS): kind for kind in (*REGION_KINDS, KEYPOINT)}
_ONLY_ALONE = (ELLIPSE, VECTOR)  # filled where there is nothing else to fill; beside boxes they are a person's tools

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelSource:
    """The tag whose results name the regions of a control without labels: Labels, or Choices or Taxonomy per region."""

    name: str
    kind: str


@dataclass(frozen=True)
class Control:
    """One control tag. `kind` is the tag in lower case, one of KINDS; key points are only ever a person's prompt.

    `other_names` pairs further names of a label with it: `predicted_values`, the value that an alias hides, and what
    other controls call the same class. `score_threshold` and `min_area` (share of the picture) are in [0, 1]; None
    where the config says nothing. `paths` say where the labels of a tree stand; results then name whole paths. `source`
    gives the labels of a tag without its own, whose kind is that of the tag with labels. `options_key`: the key of a
    task's data that has the labels, or empty. `per_item`: said of a page. `read_only`: people's regions are read, and
    none are predicted.
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
    paths: tuple[tuple[str, Path], ...] = ()
    source: LabelSource | None = None
    options_key: str = ""
    per_item: bool = False
    read_only: bool = False

    @property
    def dynamic(self) -> bool:
        """Whether labels come with each task."""
        return bool(self.options_key)

    @property
    def fillable(self) -> bool:
        """Whether results of it count, and may be predicted."""
        return self.kind != KEYPOINT and bool(self.labels or self.dynamic) and not self.skip

    @property
    def is_region(self) -> bool:
        """Whether its results are boxes, masks or outlines."""
        return self.kind in REGION_KINDS

    @property
    def type(self) -> str:
        """The type of its results."""
        return self.kind if self.source is None else self.kind.removesuffix(LABELS)

    @cached_property
    def _names(self) -> NameIndex:
        return NameIndex([*((label, label) for label in self.labels), *self.other_names])

    def label_for(self, class_name: str) -> str | None:
        """This control's label for a class; None where it has none. Exact names win, upper and lower case are last."""
        return self._names.find(class_name)

    def written(self, label: str) -> str | list[str]:
        """A label as results carry it: the whole path in a tree."""
        return list(dict(self.paths)[label]) if self.paths else label


def classes_of(controls: Sequence[Control]) -> tuple[ClassGroup, ...]:
    """Return the classes that count, in order of appearance.

    Where regions can be drawn, those are what one of them can show; other labels of Choices are remarks on the picture,
    such as "blurred".
    """
    counting = [control for control in controls if control.fillable]
    regions = {number for number, control in enumerate(counting) if control.is_region and control.labels}
    groups = group_labels([_synonyms(control) for control in counting])
    return tuple(group for group in groups if not regions or not regions.isdisjoint(group.labels))


def read_controls(root: ET.Element) -> list[Control]:
    """Return a Control for each tag that an element is connected to; tags without labels have those of their source."""
    found: list[Control] = []
    sources: dict[str, Control] = {}
    tags = {name.strip(): name for element in root.iter() if (name := attributes_of(element).get("name"))}
    for element in root.iter():
        per_region = is_true(attributes_of(element).get("perregion"))
        for control in _of_element(element, tags):
            if control.kind == LABELS or (control.kind in CHOICE_KINDS and per_region):
                sources.setdefault(control.to_name, control)
            else:
                found.append(control)
    return [_named_by(control, sources.get(control.to_name)) for control in found]


def join_controls(controls: Sequence[Control], renames: Sequence[tuple[str, str]]) -> tuple[Control, ...]:
    """Return the controls of all pictures, each knowing what the others call its classes.

    Args: renames: classes by the names that they had before: (old, new).
    """
    older = [replace(control, other_names=(*control.other_names, *_older(control, renames))) for control in controls]
    # Copies of a tag, for several pictures, are as one.
    alike: dict[tuple[object, object], Control] = {}
    for each in older:
        if each.fillable:
            alike.setdefault((each.labels, each.other_names), each)
    by_place: list[list[tuple[str, str]]] = [[] for _ in alike]
    for group in group_labels([_synonyms(each) for each in alike.values()]):
        for place, label in group.labels.items():
            by_place[place] += [(name, label) for name in group.names() if name != label]
    others = dict(zip(alike, by_place, strict=True))
    filled = {each.to_name for each in older if each.is_region and each.fillable and each.kind not in _ONLY_ALONE}
    return tuple(
        replace(
            control,
            other_names=tuple(
                dict.fromkeys((*control.other_names, *others.get((control.labels, control.other_names), ())))
            ),
            read_only=control.to_name in filled and control.kind in _ONLY_ALONE,
        )
        for control in older
    )


def _older(control: Control, renames: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for old, new in renames:
        if (label := control.label_for(new)) is not None:
            yield old, label


def _synonyms(control: Control) -> dict[str, list[str]]:
    """Return each label's further names."""
    found: dict[str, list[str]] = {label: [] for label in control.labels}
    for name, label in control.other_names:
        if label in found:
            found[label].append(name)
    return found


def _of_element(element: ET.Element, tags: Mapping[str, str]) -> Iterator[Control]:
    """Return a control for each tag that the element is connected to. Args: tags: the names of all, by their text."""
    attributes, tag = attributes_of(element), tag_of(element)
    kind = _BARE.get(tag, tag)
    if kind not in (*KINDS, LABELS) or not attributes.get("name"):
        return
    offered = config_xml.labels_of(element)
    is_tree = kind == TAXONOMY or (kind == CHOICES and is_true(attributes.get("allownested")))
    several = attributes.get("choice", "").lower() == "multiple" if kind == CHOICES else kind == TAXONOMY
    connected = [name.strip() for name in attributes.get("toname", "").split(",")]
    for to_name in dict.fromkeys(tags.get(name, name) for name in connected):
        if to_name:
            yield Control(
                name=attributes["name"],
                kind=kind,
                to_name=to_name,
                labels=offered.labels,
                smart=is_true(attributes.get("smart")),
                multiple=several and attributes.get("maxusages") != "1",
                score_threshold=config_xml.share(attributes, "model_score_threshold", "score_threshold"),
                skip=is_true(attributes.get("model_skip")),
                max_regions=config_xml.count(attributes, "model_max_regions"),
                min_area=config_xml.share(attributes, "model_min_area"),
                other_names=offered.synonyms,
                paths=offered.paths if is_tree else (),
                source=LabelSource("", "") if tag in _BARE else None,
                options_key=_options_key(attributes.get("value", "")),
                per_item=is_true(attributes.get("peritem")),
            )


def _options_key(value: str) -> str:
    return value.removeprefix("$") if value.startswith("$") else ""


def _named_by(control: Control, source: Control | None) -> Control:
    """Return a control without labels with those of the tag that names its regions; others as they are."""
    if control.source is None or source is None:
        return control
    return replace(
        control,
        labels=source.labels,
        other_names=source.other_names,
        paths=source.paths,
        options_key=source.options_key,
        source=LabelSource(source.name, source.kind),
    )


def remarks_on(controls: Sequence[Control]) -> Iterator[str]:
    """Return a sentence for each control that is neither read nor filled, with what to do."""
    shown = {loose(name) for group in classes_of(controls) for name in group.names()}
    known = not any(control.dynamic for control in controls)  # nobody knows yet which labels a task brings
    for control in controls:
        if control.source is not None and not control.source.name and control.is_region:
            yield (
                f"Regions of {control.name!r} have no class, so they are neither read nor filled; add a Labels tag for "
                f'them (toName="{control.to_name}").'
            )
        elif control.read_only:
            yield f"Regions of {control.name!r} are learned from, and not predicted; boxes and masks are."
        elif (
            control.kind in CHOICE_KINDS and known and control.fillable and shown.isdisjoint(map(loose, control.labels))
        ):
            yield (
                f"Labels of {control.name!r} are remarks and no classes, since no tag for regions has one of them; add "
                "them there if they are classes."
            )


def remarks_on_tags(root: ET.Element) -> Iterator[str]:
    """Return a sentence for each tag that takes regions or labels in a way that is not followed."""
    for element in root.iter():
        attributes = attributes_of(element)
        if tag_of(element) == TAXONOMY and attributes.get("apiurl"):
            yield f"The labels of {attributes.get('name')!r} come from its apiUrl, which is not asked; write them here."
        elif tag_of(element) in ("magicwand", "videorectangle", "videovector"):
            yield f"Regions of {element.tag} are not read; draw with RectangleLabels, BrushLabels or BitmaskLabels."
