"""What a Label Studio task says about its picture: where it is, and which classes a person has given it.

Reads tasks as /predict and the API's task list send them. People write these: whatever is not as expected is passed
over, never an error, but for the picture itself. Nothing is downloaded here, and no shapes are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from backend.errors import ImageError
from backend.labelstudio.annotations import best_first, is_accepted_in_bulk, listed
from backend.labelstudio.class_names import NameIndex, as_text
from backend.labelstudio.controls import CHOICE_KINDS, Control
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.regions import UNTOUCHED, label_in, names_in, regions_of
from backend.labelstudio.task_values import look_up, value_of

USUAL_KEYS = ("label", "class", "labels", "classes")  # of a task's data, for classes given with the picture
SEPARATORS = (";", "|", ",")  # between them; names have commas in them more often than the others


def image_reference(task: Mapping[str, object], config: LabelConfig) -> str:
    """What the task's data says of where the picture is: an address, a path or a data URI, as yet unchecked."""
    reference = value_of(config.image_value or f"${config.image_key}", task.get("data"))
    if isinstance(reference, Mapping) and len(reference) == 1:  # a page that is an object
        (reference,) = reference.values()
    if isinstance(reference, str) and reference.strip():
        return reference.strip()
    wrong = "missing" if reference is None else "empty" if isinstance(reference, str) else "no text"
    raise ImageError(
        f"Task {task.get('id', 'without an id')}: data[{config.image_key!r}], the picture of Image tag "
        f"{config.image!r}, is {wrong}. Import the task again with the picture's address."
    )


def given_labels(task: Mapping[str, object], config: LabelConfig) -> tuple[str, ...]:
    """The classes a person has given the picture, as the config writes them: what training learns from.

    They come from the annotation that counts (see annotations.py) of those that name any; if none does, from the task's
    data. Names the config does not have are left out; where it has none at all, every name counts.
    """
    if config.varies:
        found = (given_labels(task, view) for view in config.views(task.get("data")))
        return tuple(dict.fromkeys(label for labels in found for label in labels))
    for names in _sources(task, config):
        labels = [name if not config.classes else config.label_for(name) for name in names]
        if any(labels):
            return tuple(dict.fromkeys(label for label in labels if label))
    return ()


def image_labels(task: Mapping[str, object], config: LabelConfig, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes a person has given the picture, as a model with `classes` calls them; see given_labels.

    A source counts as soon as config or model know one of its names: a class that the model has not learnt yet is no
    reason to believe an older annotation.
    """
    for names in _sources(task, config):
        found = [class_of(name, config, classes) for name in names]
        if any(found) or any(config.label_for(name) for name in names):
            return tuple(dict.fromkeys(name for name in found if name))
    return ()


def is_finished(task: Mapping[str, object], config: LabelConfig) -> bool:
    """Whether a person has drawn or accepted regions, or skipped the task; classes alone leave it open."""
    views = config.views(task.get("data"))
    return any(
        each.get("was_cancelled") or any(regions_of(each, view) for view in views)
        for each in listed(task, "annotations")
    )


def class_of(name: str, config: LabelConfig, classes: Sequence[str]) -> str | None:
    """The model's class for a name: the same, or the one that the config writes alike; None where it has none."""
    found = _index_of(tuple(classes)).find(name)
    label = config.label_for(name)
    return found or next((each for each in classes if label and config.label_for(each) == label), None)


@lru_cache(maxsize=16)
def _index_of(classes: tuple[str, ...]) -> NameIndex:
    return NameIndex((name, name) for name in classes)


def names_a_class(annotation: Mapping[str, Any], config: LabelConfig) -> bool:
    """Whether an annotation says of any class that the picture shows it."""
    return any(config.label_for(name) for name in _annotated(annotation, config))


def counting_annotations(task: Mapping[str, object], config: LabelConfig) -> list[Mapping[str, Any]]:
    """The annotations that were not cancelled, the one that counts first; see annotations.py."""

    def said(annotation: Mapping[str, Any]) -> frozenset[str]:
        labels = map(config.label_for, _annotated(annotation, config))
        return frozenset(label for label in labels if label is not None)

    return best_first(task, said)


def _sources(task: Mapping[str, object], config: LabelConfig) -> Iterator[list[str]]:
    """The names from each place that may hold classes, the most trusted first."""
    for annotation in counting_annotations(task, config):
        yield _annotated(annotation, config)
    for key in dict.fromkeys((*config.label_keys, *USUAL_KEYS)):
        yield _given(look_up(key, task.get("data")), config)


def _annotated(annotation: Mapping[str, Any], config: LabelConfig) -> list[str]:
    """The picture's classes in an annotation: ticked, or on a region that is not just the model's own, untouched."""
    names: list[str] = []
    if is_accepted_in_bulk(annotation):
        return names
    for result in listed(annotation, "result"):
        control, value = config.control_of(result), result.get("value")
        if control is not None and control.kind in CHOICE_KINDS and isinstance(value, Mapping):
            names += [_class_in(name, control, config) for name in names_in(value, control.kind)]
    for region in regions_of(annotation, config):
        if region.get("origin") != UNTOUCHED:
            names += [str(name) for name in region["value"][region["type"]]]
    return names


def _class_in(name: str | tuple[str, ...], control: Control, config: LabelConfig) -> str:
    """Return what a label stands for; a path that goes on below a class, for that class."""
    label = label_in(name, control)
    if isinstance(name, str) or config.label_for(label) is not None:
        return label
    return next((part for part in reversed(name) if config.label_for(part) is not None), label)


def _given(value: object, config: LabelConfig) -> list[str]:
    """Classes given with the data: a name, several with one of SEPARATORS between them, or a list of names.

    A list may be text, as it is in a column of a CSV file.
    """
    name = (as_text(value) or "").strip()
    if name.startswith("[") and not config.label_for(name):
        with suppress(ValueError, RecursionError):
            value = json.loads(name)
    if isinstance(value, list):
        return [name for each in value if (name := (as_text(each) or "").strip())]
    separator = next((each for each in SEPARATORS if each in name), None)
    if separator is None or config.label_for(name):
        return [name] if name else []
    return [part.strip() for part in name.split(separator) if part.strip()]
