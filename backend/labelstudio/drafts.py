"""Predictions as drafts on annotations that only name classes, so that tasks open with boxes and masks in place.

Label Studio opens a task with the annotation that was submitted last; a prediction is a tab beside it. A draft of that
annotation is what the editor shows, counts as nothing until its user submits it, and leaves what was submitted as it
is. Drafts are seen by their user alone, so only annotations of the token's user can have one of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.labelstudio.annotations import MARK, listed, newest_first
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.regions import UNTOUCHED

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DraftPlan:
    """What to write: `result` on `annotation`, over our draft of the number `over`; None: as a new one."""

    annotation: int
    over: int | None
    result: tuple[Json, ...]


def is_ours(draft: Json) -> bool:
    """Return whether we wrote the draft, and nobody changed it since."""
    results = draft.get("result")
    return bool(results) and isinstance(results, list) and all(isinstance(e, Mapping) and MARK in e for e in results)


def plan_draft(task: Json, user: int, prediction: Json, config: LabelConfig) -> DraftPlan | None:
    """Return the draft that a task of which nobody has touched the predictions needs; None if it has it, or has no use.

    Args: task: with its annotations and the user's drafts. prediction: as it is stored, and shown beside the draft.
    """
    annotation = _newest(task)
    if annotation is None or annotation["completed_by"] != user:
        return None
    drafts = [draft for draft in task.get("drafts") or () if isinstance(draft, Mapping)]
    if not all(is_ours(draft) and draft.get("annotation") == annotation["id"] for draft in drafts):
        return None
    types = {control.type for control in config.region_controls}
    predicted = listed(prediction, "result")
    shapes = {each.get("id") for each in predicted if each.get("type") in types}
    # Where a tag has no labels of its own, another result of the same id has them.
    regions = [{**each, "origin": UNTOUCHED} for each in predicted if each.get("id") in shapes]
    result = tuple({**each, MARK: True} for each in (*_said(annotation, predicted), *regions))
    if drafts:
        known = drafts[0]
        return None if known["result"] == list(result) else DraftPlan(int(annotation["id"]), int(known["id"]), result)
    return DraftPlan(int(annotation["id"]), None, result) if regions else None


def opens_with_annotation(task: Json, user: int | None = None) -> bool:
    """Return whether a task opens with an annotation, of the user if one is named."""
    newest = _newest(task)
    return newest is not None and user in (None, newest["completed_by"])


def _newest(task: Json) -> Json | None:
    """Return the newest annotation that somebody has submitted, which Label Studio opens the task with."""
    newest = next(iter(newest_first(task)), None)
    return newest if newest is not None and newest.get("result") and newest.get("completed_by") is not None else None


def _said(annotation: Json, predicted: Sequence[Json]) -> list[Json]:
    """Return what the person said, under the ids of the same results of the prediction.

    So the annotation tells what it came from, even if everything that was predicted is deleted in it.
    """
    names = {(each.get("from_name"), each.get("type")): each.get("id") for each in predicted}
    said = [each for each in annotation["result"] if isinstance(each, Mapping)]
    return [
        {**each, "id": name} if (name := names.get((each.get("from_name"), each.get("type")))) else each
        for each in said
    ]
