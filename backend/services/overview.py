"""Show projects, versions and runs to people and scripts: plain values, ready for JSON.

Progress is left out where Redis does not answer; everything else is on disk and shown all the same.
"""

from __future__ import annotations

import functools
import json
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from backend.errors import QueueError
from backend.services.projects import ProjectService
from backend.services.retraining import RetrainingService
from backend.services.training import TrainingService
from backend.services.verdicts import RIGHT, figures, is_suggested
from backend.storage.models import Version
from backend.storage.runs import Run
from backend.wording import left_out_sentence

Json = dict[str, Any]


class CircuitBreaker:
    """Asks Redis until it does not answer once: a page must not wait for every value that is missing."""

    def __init__(self) -> None:
        self._answers = True

    def ask(self, question: Callable[[], Json | None]) -> Json | None:
        """Return the answer; None if Redis does not answer, or has not answered before."""
        try:
            return question() if self._answers else None
        except QueueError:
            self._answers = False
            return None


def show_run(run: Run, training: TrainingService) -> Json:
    """Return a run, with its progress while it is being trained."""
    return _show_run(run, training, CircuitBreaker())


def show_runs(runs: Iterable[Run], training: TrainingService) -> list[Json]:
    """Return runs, in their order, each as `show_run` does."""
    redis = CircuitBreaker()
    return [_show_run(run, training, redis) for run in runs]


def _show_run(run: Run, training: TrainingService, redis: CircuitBreaker) -> Json:
    return {
        "id": run.id,
        "project": run.project_id,
        "state": run.state,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "pictures": run.pictures,
        "version": run.version,
        "reason": run.reason,
        "trigger": run.trigger,
        "first_look": run.is_first_look,
        "warnings": list(run.warnings),
        "gate": run.gate and run.gate.to_dict(),
        "progress": _with_share(redis.ask(lambda: training.progress(run))),
    }


def show_projects(
    projects: ProjectService, training: TrainingService, retraining: RetrainingService, only: str | None = None
) -> list[Json]:
    """Return every project with its versions, the runs that matter now, and why a training starts by itself or not.

    Args: only: a project's number, where no other is asked for.
    """
    runs, redis = training.runs(only), CircuitBreaker()
    shown = []
    for project in projects.all():
        if only not in (None, project.id):
            continue
        live, own = projects.live(project.id), [run for run in runs if run.project_id == project.id]
        own_shown = {run.id: _show_run(run, training, redis) for run in own if run is own[0] or not run.state.has_ended}
        shown.append(
            {
                "id": project.id,
                "title": project.title,
                "label_studio": project.hostname,
                "remarks": projects.remarks(project.id),
                "live_version": live,
                "versions": [_show_version(version, live) for version in projects.published(project.id)],
                "active_runs": [own_shown[run.id] for run in own if not run.state.has_ended],
                "loop": retraining.decision(project.id).reason,
                "latest_run": own_shown[own[0].id] if own else None,
                "preannotation": redis.ask(functools.partial(_show_preannotation, projects, project.id)),
            }
        )
    return shown


def revision(shown: Iterable[Mapping[str, Any]]) -> str:
    """Return a checksum of all but progress: a page can keep its parts while it stays the same."""
    return f"{zlib.crc32(json.dumps([_without_progress(value) for value in shown]).encode()):08x}"


def _show_version(version: Version, live: str | None) -> Json:
    facts = version.facts
    return {
        "name": version.name,
        "live": version.name == live,
        "created": facts.created,
        "pictures": facts.pictures,
        "classes": list(facts.classes),
        "metrics": facts.metrics,
        "right": next((each.value for each in figures(version) if each.name == RIGHT), None),
        "run": facts.run,
        "parent": facts.parent,
        "gate": facts.gate and facts.gate.to_dict(),
        "suggested": is_suggested(version, live),
        "faults": list(facts.faults),
    }


def _show_preannotation(projects: ProjectService, project_id: str) -> Json | None:
    found = projects.preannotation(project_id)
    return None if found is None else {**asdict(found), "not_shown": left_out_sentence(found.left_out, found.empty)}


def _with_share(progress: Json | None) -> Json | None:
    """Return progress as reported, with `share`, the part of the work that is done, in [0, 1], and the report's age.

    Workers of this version report a share of the time; of older ones it is computed from steps.
    """
    if progress is None:
        return None
    now = time.time()
    try:
        age_s = round(max(0.0, now - float(progress.get("at", now))), 1)
        return {"share": _share(progress), **progress, "age_s": age_s}
    except (TypeError, ValueError, ArithmeticError):  # nobody of ours wrote that
        return None


def _share(progress: Mapping[str, Any]) -> float:
    epoch, epochs = float(progress.get("epoch", 1)), float(progress.get("epochs", 1)) or 1.0
    step, steps = float(progress.get("step", 0)), float(progress.get("steps", 1)) or 1.0
    stage, stages = float(progress.get("stage_index", 0)), float(progress.get("stages", 1)) or 1.0
    return round(min(max((stage + (epoch - 1 + step / steps) / epochs) / stages, 0.0), 1.0), 4)


def _without_progress(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_progress(part) for key, part in value.items() if key not in ("progress", "preannotation")}
    return [_without_progress(part) for part in value] if isinstance(value, list) else value
