"""Start, watch and cancel trainings: one at a time for each project."""

from __future__ import annotations

import time
from typing import Any

from backend.errors import NotFoundError
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.runs import Run, RunState
from backend.storage.stores import Stores
from wsol_core.config import TrainConfig
from wsol_core.registry import backbone_info

BUTTON, COMMAND_LINE = 'button "Start training"', "command line"  # triggers: why a person's run was started


class TrainingService:
    """Keeps runs and puts the jobs that train them on the queue."""

    def __init__(self, settings: Settings, stores: Stores, queue: JobQueue) -> None:
        self._settings, self._stores, self._queue = settings, stores, queue

    def start(self, project_id: str, trigger: str = BUTTON) -> Run:
        """Return a run of the project that is waiting: the one there is, else a new one.

        While one is being trained a further one waits, since labels may have come; more requests change nothing.
        Args: trigger: why, for people; a run that waits already keeps its own.
        """
        with self._queue.lock(f"training-{project_id}"):
            for run in self._stores.runs.of_project(project_id):
                if run.state == RunState.QUEUED:
                    self._queue.train(run.id)  # in case the process died between the record and the queue
                    return run
            return self._create(project_id, trigger)

    def start_if_idle(self, project_id: str, trigger: str) -> Run | None:
        """Return a new run; None if one waits or is being trained."""
        with self._queue.lock(f"training-{project_id}"):
            if any(not run.state.has_ended for run in self._stores.runs.of_project(project_id)):
                return None
            return self._create(project_id, trigger)

    def cancel(self, run_id: str) -> Run:
        """End a run within seconds, wherever it is; one that has ended stays as it ended."""
        run = self._stores.runs.update(
            run_id, state=RunState.CANCELLED, ended=time.time(), reason="cancelled by a person"
        )
        self._queue.cancel(run_id)
        return run

    def find(self, run_id: str) -> Run:
        """Return the run. Raises: NotFoundError if there is none."""
        return self._stores.runs.read(run_id)

    def runs(self, project_id: str | None = None) -> list[Run]:
        """Return all runs, of one project if it is named; newest first."""
        runs = self._stores.runs
        return runs.all() if project_id is None else runs.of_project(project_id)

    def progress(self, run: Run) -> dict[str, Any] | None:
        """Return stage, epoch, loss, images/s and seconds left of a run being trained; None of all others."""
        return self._queue.progress.of_run(run.id) if run.state == RunState.RUNNING else None

    def preannotate(self, project_id: str, drafts: bool | None = None, anew: bool = False) -> None:
        """Begin to write the live version's predictions into Label Studio.

        Args:
            drafts: As drafts, too, where the token's user has submitted classes alone; None as the settings say.
            anew: Predict tasks that have a prediction of this version once more, since a threshold or a name changed.
        """
        version = self._stores.models.current(project_id)
        if version is None:
            raise NotFoundError(f"Project {project_id} has no version yet; start a training first.")
        self._queue.begin_preannotation(project_id, version, drafts, anew)

    def _create(self, project_id: str, trigger: str) -> Run:
        run = self._stores.runs.create(project_id, self._config().to_dict(), trigger)
        self._queue.train(run.id)
        return run

    def _config(self) -> TrainConfig:
        settings = self._settings
        return TrainConfig(
            method=settings.method,
            backbone=settings.backbone,
            minutes=settings.train_minutes,
            epochs=settings.train_epochs,
            device=settings.device,
            pretrained=backbone_info(settings.backbone).has_weights,
        )
