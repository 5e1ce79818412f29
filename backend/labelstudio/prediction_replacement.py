"""Plan which of a task's predictions a new version replaces, which are deleted, and which stay.

Decisions about task JSON alone; what carries them out is the job that pre-annotates.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.labelstudio.annotations import listed
from backend.labelstudio.drafts import is_ours
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.reviews import shows_nothing
from backend.labelstudio.task_labels import given_labels, is_finished
from backend.storage.models import is_version_of

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReplacementPlan:
    """What a task's predictions need to be exactly one of ours, of the version asked about.

    `current` is the one of that version, None where it has to be predicted; then `over` is the number of an older one
    to write it over, None where it has to be added. `superfluous` are the numbers of those to be deleted afterwards.
    """

    current: Json | None
    over: int | None
    superfluous: tuple[int, ...]

    @property
    def done(self) -> bool:
        """Return whether nothing is left to do."""
        return self.current is not None and not self.superfluous


def plan_replacement(
    task: Json, project_id: str, version: str, config: LabelConfig, anew: bool = False
) -> ReplacementPlan | None:
    """Return what a task's predictions need; None if people have worked on them: those stay.

    An older prediction is written over, not deleted: whoever has the task open names its number when they submit, and
    Label Studio refuses a number that is gone. One that an annotation names already keeps its content.

    Args: anew: the version's own prediction is written over, too.
    """
    if is_touched(task, config):
        return None
    predictions = listed(task, "predictions")
    ours = sorted((each for each in predictions if is_version_of(each.get("model_version"), project_id)), key=_number)
    named = {annotation.get("parent_prediction") for annotation in listed(task, "annotations")}
    current = next((each for each in ours if each.get("model_version") == version and not anew), None)
    free = [_number(each) for each in ours if each.get("id") not in named]
    over = free[-1] if current is None and free else None
    kept = over if current is None else _number(current)
    return ReplacementPlan(current, over, tuple(number for number in map(_number, ours) if number != kept))


def is_touched(task: Json, config: LabelConfig) -> bool:
    """Return whether people worked on the predictions: finished the task, keep a draft of it, or have submitted what
    began with a prediction that showed something. A chosen class alone is none of that, nor is a draft of ours.
    """
    drafts = listed(task, "drafts")
    if (task.get("draft_exists") and not drafts) or not all(map(is_ours, drafts)):
        return True
    if is_finished(task, config) or shows_nothing(task, config):
        return True
    showing = [each for each in listed(task, "predictions") if each.get("result")]
    showed, names = {each.get("id") for each in showing}, _result_ids(showing)
    annotations = listed(task, "annotations")
    return bool(names & _result_ids(annotations)) or any(
        each.get("parent_prediction") in showed for each in annotations
    )


def cluster_of(task: Json, prediction: Json, config: LabelConfig) -> int | None:
    """Return a number for the picture's class, the same in all versions; None if nobody and nothing names one.

    Label Studio's uncertainty sampling begins with the cluster of which a person has submitted least. A class's place
    among the classes would change when new ones come, and predictions of several versions are counted together.
    """
    name = next(iter(given_labels(task, config)), None) or _predicted_class(prediction)
    return None if name is None else zlib.crc32(name.encode()) >> 1  # Label Studio keeps 31 bits


def _predicted_class(prediction: Json) -> str | None:
    """Return the label of the result with the highest score."""
    named = [
        (float(each.get("score") or 0.0), str(names[0]))
        for each in listed(prediction, "result")
        if isinstance(value := each.get("value"), Mapping) and (names := value.get(str(each.get("type"))))
    ]
    return max(named)[1] if named else None


def _result_ids(sources: Iterable[Json]) -> set[object]:
    """Return the ids of all results of predictions or annotations; what comes from a draft shares some."""
    return {each.get("id") for source in sources for each in listed(source, "result")} - {None}


def _number(prediction: Json) -> int:
    return int(prediction["id"])
