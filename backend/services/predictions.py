"""Predict tasks: exactly one prediction for each, in their order, all of one version."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.errors import ImageError, RequestError, TooLargeError
from backend.images.image_store import ImageStore
from backend.labelstudio.annotations import listed
from backend.labelstudio.empty_prediction import empty_prediction
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.task_labels import image_reference
from backend.labelstudio.task_views import all_views
from backend.queueing.messages import PredictionRequest
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.stores import Stores

logger = logging.getLogger(__name__)

Json = dict[str, Any]
NEEDED = ("id", "data", "annotations")  # of a task; the rest stays out of Redis


class PredictionService:
    """Asks a worker for predictions, and waits for it nearly as long as Label Studio waits for us."""

    def __init__(self, settings: Settings, stores: Stores, queue: JobQueue, media: ImageStore) -> None:
        self._settings, self._stores, self._queue, self._media = settings, stores, queue, media

    def predict(
        self,
        project_id: str,
        label_config: str,
        tasks: Sequence[Mapping[str, Any]],
        context: Mapping[str, Any] | None = None,
    ) -> list[Json]:
        """Return predictions; empty ones before the first version, and for tasks whose picture cannot be used.

        Raises: BusyError when no worker answers in time. An empty answer would be stored, and never asked for again.
        """
        if len(tasks) > self._settings.max_tasks:
            raise TooLargeError(
                f"{len(tasks)} tasks in one request are more than {self._settings.max_tasks}; "
                "set MAX_TASKS, or let `boxstrap preannotate` write the predictions."
            )
        version = self._stores.models.current(project_id)
        if version is None and tasks:
            self._stores.require_model_store(project_id)
        if version is None or not tasks:
            return [empty_prediction(self._stores.models.label(project_id)) for _ in tasks]
        config = LabelConfig.parse(label_config)
        slim: list[Json] = [{name: task[name] for name in NEEDED if name in task} for task in tasks]
        if context is not None:  # drafts are of the person who draws
            slim = [{**each, "drafts": _users(task)} for each, task in zip(slim, tasks, strict=True)]
        files = self._save_inline_images(project_id, slim, config)
        request = PredictionRequest(project_id, version, label_config, slim, files, context)
        found = self._queue.predict(request, self._settings.predict_timeout_s)
        if len(found) != len(tasks):
            raise RequestError(
                f"The worker answered {len(found)} predictions for {len(tasks)} tasks; is it this version?"
            )
        return found

    def _save_inline_images(self, project_id: str, tasks: list[Json], config: LabelConfig) -> dict[int, Path]:
        """Write pictures that came inside of tasks into the cache, so that none go through Redis; workers decode.

        Returns: their files, by their places among the pictures of all tasks.
        """
        files = {}
        for index, view in enumerate(all_views(tasks, config)):
            try:
                reference = image_reference(view.task, view.config)
                if reference.startswith("data:"):
                    files[index] = self._media.keep(reference, project_id)
            except ImageError as error:
                logger.warning("project %s, task %r: %s", project_id, view.task.get("id"), error)
        tasks[:] = [_without_data_uris(task) for task in tasks]
        return files


def _users(task: Mapping[str, Any]) -> list[Json]:
    """Return a task's drafts with nothing but whose they are."""
    return [{"user": draft["user"]} for draft in listed(task, "drafts") if draft.get("user")]


def _without_data_uris(value: Any) -> Any:
    """Return the value with every data: URI emptied; the worker refuses an empty one if it needs it."""
    if isinstance(value, Mapping):
        return {key: _without_data_uris(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_data_uris(part) for part in value]
    return "data:" if isinstance(value, str) and value.lstrip().startswith("data:") else value
