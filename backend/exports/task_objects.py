"""What a task says of the objects in its picture, for an export: people's word where there is one, else a prediction's.

Tasks are Label Studio's JSON; nothing is fetched here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backend.labelstudio.annotations import listed
from backend.labelstudio.corrections import DrawnRegion, in_holdout, left_objects
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.regions import known_size, regions_of
from backend.labelstudio.reviewed_objects import reviewed_objects
from backend.labelstudio.reviews import match_annotation
from backend.labelstudio.task_labels import counting_annotations
from backend.storage.ledger_rows import Fate
from wsol_core.data.folder import TRAIN
from wsol_core.exports.records import Source

VALIDATION = "val"

Json = Mapping[str, Any]


class Take(StrEnum):
    """Which of a project's tasks an export takes, and whose objects."""

    ANNOTATIONS = "annotations"
    PREDICTIONS = "predictions"
    BOTH = "both"  # annotations where people have reviewed a task, predictions elsewhere


@dataclass(frozen=True, slots=True)
class TaskObject:
    """An object in pixels of the picture as Label Studio saw it. score: of a prediction that nobody has changed."""

    region: DrawnRegion
    source: Source
    score: float | None


@dataclass(frozen=True, slots=True)
class TaskObjects:
    """All objects of a task. reviewed: whether people say that these are all."""

    objects: tuple[TaskObject, ...]
    reviewed: bool


def task_objects(
    task: Json, config: LabelConfig, take: Take, shown_version: str, min_score: float
) -> TaskObjects | None:
    """Return what an export takes of a task; None where it has neither been reviewed nor predicted.

    Args: shown_version: of predictions, comes before all others. min_score: predicted objects below it are left out.
    """
    if take is not Take.PREDICTIONS and (reviewed := _reviewed(task, config)) is not None:
        return TaskObjects(reviewed, reviewed=True)
    prediction = chosen_prediction(task, shown_version)
    if take is Take.ANNOTATIONS or prediction is None or not prediction.get("result"):
        return None  # an empty prediction may be one of a picture that could not be read
    predicted = [each for each in _predicted(prediction, config) if (each.score or 0.0) >= min_score]
    return TaskObjects(tuple(predicted), reviewed=False)


def chosen_prediction(task: Json, shown_version: str) -> Json | None:
    """Return the task's newest prediction, of the version that the project shows where it has one of that."""
    return max(
        listed(task, "predictions"),
        key=lambda each: (each.get("model_version") == shown_version, each.get("id", 0)),
        default=None,
    )


def split_of(task: Json, found: TaskObjects, project_id: str) -> str:
    """Return the split that the task's data names; else "val" of corrected tasks that no training sees."""
    data = task.get("data")
    named = data.get("split") if isinstance(data, Mapping) else None
    if isinstance(named, str) and named.strip():
        return named.strip()
    corrected = any(each.source is Source.HUMAN for each in found.objects)
    return VALIDATION if corrected and in_holdout(project_id, int(task["id"])) else TRAIN


def annotated_size(task: Json) -> tuple[int, int] | None:
    """Return the picture's size as Label Studio saw it, where a region of the task says so."""
    return known_size(*listed(task, "annotations"), *listed(task, "predictions"))


def _reviewed(task: Json, config: LabelConfig) -> tuple[TaskObject, ...] | None:
    """Return what people left; nothing where they submitted a task without any; None where nobody reviewed it."""
    found = match_annotation(task, config)
    if found is None:
        empty = any(annotation.get("result") == [] for annotation in counting_annotations(task, config))
        return () if empty else None
    return tuple(
        TaskObject(region, Source.ACCEPTED if fate == Fate.ACCEPTED else Source.HUMAN, None)
        for region, fate in left_objects(found.objects(config))
    )


def _predicted(prediction: Json, config: LabelConfig) -> list[TaskObject]:
    regions = regions_of(prediction, config)
    objects = reviewed_objects([(None, region) for region in regions], [Fate.ADDED] * len(regions), config)
    found = []
    for each in objects:
        scores = [shape.shown.region.get("score") for shape in each.shapes]
        score = max((float(score) for score in scores if isinstance(score, int | float)), default=_score(prediction))
        found += [TaskObject(region, Source.PREDICTED, score) for region, _ in left_objects([each])]
    return found


def _score(prediction: Json) -> float:
    score = prediction.get("score")
    return float(score) if isinstance(score, int | float) else 0.0


def classes_of(config: LabelConfig) -> Sequence[str]:
    """Return the classes that regions may have, in the config's order; of the choices where it has no regions."""
    names = dict.fromkeys(label for control in config.region_controls for label in control.labels)
    return list(names) or list(config.classes)
