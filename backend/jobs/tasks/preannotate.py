"""RQ job: boxes and masks for one chunk of a project's tasks, written into Label Studio through its import API."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from backend.jobs.tasks.attempts import tried_again
from backend.jobs.tasks.predict import predict_tasks
from backend.jobs.tasks.workplace import workplace
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.samples import is_finished

logger = logging.getLogger(__name__)

CHUNK = 64  # tasks: seconds of work, so that a person's /predict never waits long behind one


@tried_again
def preannotate(chunk: Mapping[str, Any]) -> dict[str, Any]:
    """Predicts the next tasks above `after_id` and says what to do next; doing it twice stores nothing twice.

    Left out are tasks that a person has finished, and those that have a prediction of this version.
    Args: chunk: project_id, version, after_id, seen and done (tasks so far).
    Returns: seen and done, and as `next` the following chunk, None after the last or when the version is not live.
    Raises: UnreachableError, ImageNotNowError when Label Studio is down; RQ tries again.
    """
    place = workplace()
    project_id, version = chunk["project_id"], chunk["version"]
    if place.stores.models.current(project_id) != version:
        logger.info("project %s: pre-annotation by %s ends, another version is live", project_id, version)
        return {"seen": chunk["seen"], "done": chunk["done"], "next": None}
    client = place.label_studio()
    config = LabelConfig.parse(str(client.project(project_id).get("label_config", "")))
    page = client.task_page(project_id, chunk["after_id"], CHUNK)
    waiting = [task for task in page if not is_finished(task, config) and not _has(task, version)]
    if waiting:
        predictions = predict_tasks(place, project_id, version, waiting, config)
        client.import_predictions(
            project_id, [{"task": task["id"], **found} for task, found in zip(waiting, predictions, strict=True)]
        )
    counts = {"seen": chunk["seen"] + len(page), "done": chunk["done"] + len(waiting)}
    place.queue.report_progress(f"bulk-{project_id}", {"version": version, **counts, "ended": len(page) < CHUNK})
    if len(page) < CHUNK:
        logger.info(
            "project %s: %d of %d tasks have predictions of %s", project_id, counts["done"], counts["seen"], version
        )
        return {**counts, "next": None}
    return {**counts, "next": {**chunk, **counts, "after_id": page[-1]["id"]}}


def _has(task: Mapping[str, Any], version: str) -> bool:
    return any(found.get("model_version") == version for found in task.get("predictions") or ())
