"""What a Label Studio task says about its picture: where it is, and which classes a person has given it.

Reads tasks as /predict and the API's task list send them. People write these: whatever is not as expected is passed
over, never an error, but for the picture itself. Nothing is downloaded here, and no shapes are read.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from backend.errors import ImageError
from backend.labelstudio.annotations import best_first, is_accepted_in_bulk, listed
from backend.labelstudio.class_names import SEPARATOR, NameIndex, as_text, loose
from backend.labelstudio.controls import CHOICE_KINDS, KINDS, LABELS, Control
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.regions import UNTOUCHED, Name, label_in, names_in, regions_of
from backend.labelstudio.task_values import look_up, value_of

# Of a task's data, for classes given with the picture, in upper or lower case.
USUAL_KEYS = ("label", "class", "labels", "classes", "category", "categories")
SEPARATORS = (";", "|", "\n", ",")  # between them; names have commas in them more often than the others
LONGEST_LIST = 5000  # characters of a list that is written as Python writes it


def image_reference(task: Mapping[str, object], config: LabelConfig) -> str:
    """What the task's data says of where the picture is: an address, a path or a data URI, as yet unchecked."""
    reference = value_of(config.image_value or f"${config.image_key}", task.get("data"))
    if isinstance(reference, list) and reference:  # a gallery, which opens with its first picture
        reference = reference[0]
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
    data, options = task.get("data"), {loose(control.options_key) for control in config.controls}
    # Label Studio's own tables have a column for each tag, with what people chose in it.
    usual = dict.fromkeys(map(loose, (*USUAL_KEYS, *(control.name for control in config.controls))))
    by_name = {loose(str(key)): value for key, value in data.items()} if isinstance(data, Mapping) else {}
    given = [
        *((loose(key), look_up(key, data)) for key in config.label_keys),
        *((key, by_name.get(key)) for key in usual),
    ]
    for key, value in given:
        if key not in options:  # which are what there is to choose from; nobody has chosen yet
            yield _given(value, config)


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


def _class_in(name: Name, control: Control, config: LabelConfig) -> str:
    """Return what a label stands for; a path that goes on below a class, for that class."""
    label = label_in(name, control)
    return label if isinstance(name, str) or config.label_for(label) is not None else _part_of(name, config, label)


def _part_of(path: tuple[str, ...], config: LabelConfig, otherwise: str) -> str:
    """Return the last part of a path that is a class."""
    return next((part for part in reversed(path) if config.label_for(part) is not None), otherwise)


def _given(value: object, config: LabelConfig) -> list[str]:
    """Classes given with the data: a name, several with one of SEPARATORS between them, or a list of names.

    All that Label Studio exports is read, too: paths, what results have in them, and either as text, as it is in a
    column of a CSV file.
    """
    name = (as_text(value) or "").strip()
    if name[:1] in ("[", "{", '"') and not config.label_for(name):
        value = _unquoted(name)
    if isinstance(value, list | Mapping):
        names = [_given_name(each, config) for each in _listed(value)]
        return [name for each in names if (name := each.strip())]
    name = (as_text(value) or "").strip()
    separator = next((each for each in SEPARATORS if each in name), None)
    if separator is None or config.label_for(name):
        return [name] if name else []
    return [part.strip() for part in name.split(separator) if part.strip()]


def _unquoted(text: str) -> object:
    """Return what a text is as JSON, or as Python writes lists; the text itself where it is neither."""
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    if len(text) <= LONGEST_LIST:
        with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return ast.literal_eval(text)
    return text


def _listed(value: list[object] | Mapping[str, object]) -> Iterator[Name]:
    """Return the names and paths in a list, or in a result's value, or in a list of those."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, Mapping):
            yield from (name for kind in (*KINDS, LABELS) for name in names_in(each, kind))
        else:
            yield from names_in({LABELS: [each]}, LABELS)


def _given_name(name: Name, config: LabelConfig) -> str:
    if isinstance(name, str):
        return name
    return config.label_for(SEPARATOR.join(name)) or _part_of(name, config, name[-1])
