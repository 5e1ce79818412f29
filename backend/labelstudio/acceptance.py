"""Annotations that were accepted in bulk, without a person's look: copies of a prediction, marked as such.

As long as the mark is there (see annotations.py) such an annotation is no evidence: it teaches nothing, and no report
counts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.labelstudio.annotations import ACCEPTED, MARK, listed
from backend.labelstudio.corrections import in_holdout
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prediction_replacement import plan_replacement
from backend.labelstudio.regions import UNTOUCHED, regions_of

Json = Mapping[str, Any]


def accepted_annotation(prediction: Json) -> dict[str, Any]:
    """Return the annotation that accepts a stored prediction as it is."""
    result = [{**each, "origin": UNTOUCHED, MARK: ACCEPTED} for each in listed(prediction, "result")]
    return {"result": result, "parent_prediction": prediction["id"], "lead_time": 0}


def acceptable_prediction(task: Json, project_id: str, version: str, config: LabelConfig) -> Json | None:
    """Return the version's prediction of a task that nobody has worked on; None where there is none with regions."""
    plan = plan_replacement(task, project_id, version, config)
    if plan is None or plan.current is None or least_score(plan.current, config) is None:
        return None
    return plan.current


def least_score(prediction: Json, config: LabelConfig) -> float | None:
    """Return the score of a prediction's least certain region; None where it has none, or one without a score."""
    regions = regions_of(prediction, config)
    scores = [float(score) for each in regions if isinstance(score := each.get("score"), int | float)]
    return min(scores) if scores and len(scores) == len(regions) else None


def is_audited(project_id: str, task_id: int, share: float) -> bool:
    """Return whether a task is never accepted in bulk, so that people judge it; always the same answer.

    Args: share: of all tasks, in [0, 1].
    """
    return in_holdout(f"audit of {project_id}", task_id, share)
