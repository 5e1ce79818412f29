"""What a Label Studio task says about its picture: where it is, and which classes a person has given it.

Reads tasks as /predict and the API's task list send them. People write these: whatever is not as expected is passed
over, never an error, but for the picture itself. Nothing is downloaded here, and no regions are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backend.errors import ImageError
from backend.labelstudio.label_config import CHOICES, LabelConfig

USUAL_KEYS = ("label", "class", "labels", "classes")  # of a task's data, for classes given with the picture


def image_reference(task: Mapping[str, object], config: LabelConfig) -> str:
    """What the task's data says of where the picture is: an address, a path or a data URI, as yet unchecked."""
    reference = _look_up(task.get("data"), config.image_key)
    if isinstance(reference, str) and reference.strip():
        return reference.strip()
    wrong = "missing" if reference is None else "empty" if isinstance(reference, str) else "no text"
    raise ImageError(
        f"Task {task.get('id', 'without an id')}: data[{config.image_key!r}], the picture of Image tag "
        f"{config.image!r}, is {wrong}. Import the task again with the picture's address."
    )


def given_labels(task: Mapping[str, object], config: LabelConfig) -> tuple[str, ...]:
    """The classes a person has given the picture, as the config writes them: what training learns from.

    They come from the newest annotation that was not cancelled and names any; if none does, from the task's data.
    Names the config does not have are left out; where it has none at all, every name counts.
    """
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
        found = [_as_class(name, config, classes) for name in names]
        if any(found) or any(config.label_for(name) for name in names):
            return tuple(dict.fromkeys(name for name in found if name))
    return ()


def is_finished(task: Mapping[str, object], config: LabelConfig) -> bool:
    """Whether a person has drawn or accepted regions, or skipped the task; classes alone leave it open."""
    annotations = task.get("annotations")
    kinds = {control.kind for control in config.region_controls}
    for annotation in annotations if isinstance(annotations, list) else []:
        if not isinstance(annotation, Mapping):
            continue
        results = annotation.get("result")
        regions = [each for each in results if isinstance(each, Mapping)] if isinstance(results, list) else []
        if annotation.get("was_cancelled") or any(region.get("type") in kinds for region in regions):
            return True
    return False


def newest_first(task: Mapping[str, object]) -> list[Mapping[str, Any]]:
    """The annotations that were not cancelled."""
    annotations = task.get("annotations")
    found = [each for each in annotations if isinstance(each, Mapping)] if isinstance(annotations, list) else []
    return sorted((each for each in found if not each.get("was_cancelled")), key=age_of, reverse=True)


def _as_class(name: str, config: LabelConfig, classes: Sequence[str]) -> str | None:
    """The model's class for a name: the same, or the same but for case, or the one whose label the name is."""
    if name in classes:
        return name
    for candidate in classes:
        if candidate.casefold() == name.casefold():
            return candidate
    label = config.label_for(name)
    return next((candidate for candidate in classes if label and config.label_for(candidate) == label), None)


def _sources(task: Mapping[str, object], config: LabelConfig) -> Iterator[list[str]]:
    """The names from each place that may hold classes, the most trusted first."""
    for annotation in newest_first(task):
        yield _annotated(annotation, config)
    for key in dict.fromkeys((*config.label_keys, *USUAL_KEYS)):
        yield _listed(_look_up(task.get("data"), key), config)


def age_of(annotation: Mapping[str, object]) -> tuple[str, int]:
    """Grows with the time of the last change (ISO 8601, all in one zone), then with the id."""
    changed = annotation.get("updated_at") or annotation.get("created_at")
    number = annotation.get("id")
    return (changed if isinstance(changed, str) else "", number if isinstance(number, int) else 0)


def _annotated(annotation: Mapping[str, object], config: LabelConfig) -> list[str]:
    """The picture's classes in an annotation: ticked, or on a region that is not just the model's own, untouched."""
    results = annotation.get("result")
    names: list[str] = []
    for result in results if isinstance(results, list) else []:
        if not isinstance(result, Mapping):
            continue
        from_name, value = result.get("from_name"), result.get("value")
        control = config.control(from_name) if isinstance(from_name, str) else None
        if control is None or not isinstance(value, Mapping) or result.get("to_name", config.image) != config.image:
            continue
        if control.kind == CHOICES or result.get("origin") != "prediction":
            names += _strings(value.get(control.kind))
    return names


def _listed(value: object, config: LabelConfig) -> list[str]:
    """Classes given with the data: a name, names with commas between them, or a list of names."""
    if not isinstance(value, str):
        return _strings(value)
    name = value.strip()
    if "," not in name or config.label_for(name):
        return [name] if name else []
    return [part.strip() for part in name.split(",") if part.strip()]


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        return []
    return [name.strip() for name in value if isinstance(name, str) and name.strip()]


def _look_up(data: object, key: str) -> object:
    """data["a.b"], or else data["a"]["b"], as Label Studio's `$a.b`; None where there is no such thing."""
    if isinstance(data, Mapping) and key in data:
        return data[key]
    for part in key.split("."):
        if not isinstance(data, Mapping):
            return None
        data = data.get(part)
    return data
