"""Figures of trainings and of what people corrected, project by project, for monitoring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.errors import DamagedFileError, QueueError
from backend.services.projects import ProjectService
from backend.services.retraining import RetrainingService
from backend.services.training import TrainingService
from backend.storage.feedback import FeedbackStore
from backend.storage.runs import Run, RunState
from backend.storage.version_files import number_of


@dataclass(frozen=True, slots=True)
class CorrectionFigures:
    """What people did. outcomes: outcome -> tasks; fates: (version, fate) -> predicted objects, and added ones.

    `corrected` counts the tasks that were corrected since the last training that did not fail.
    """

    corrected: int
    outcomes: Mapping[str, int]
    fates: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class ProjectFigures:
    """A project's figures.

    runs: state -> how many. training_s: seconds that the newest training took that published a version, None before.
    progress: of the training that runs, as its worker reports it; {} where none does, or Redis does not answer.
    live: the live version's number, None before the first; `metrics` are those of its training. corrections: None
    where the ledger cannot be read.
    """

    project: str
    runs: Mapping[str, int]
    training_s: float | None
    progress: Mapping[str, Any]
    versions: int
    live: int | None
    metrics: Mapping[str, float]
    corrections: CorrectionFigures | None


@dataclass(frozen=True, slots=True)
class MonitoringService:
    """Reads what is stored each time it is asked, and asks Redis for the progress of trainings alone."""

    projects: ProjectService
    training: TrainingService
    retraining: RetrainingService
    feedback: FeedbackStore

    def figures(self, redis_up: bool) -> list[ProjectFigures]:
        """Return the figures of every project. Args: redis_up: whether to ask Redis."""
        runs = self.training.runs()
        return [
            self._of_project(project.id, [run for run in runs if run.project_id == project.id], redis_up)
            for project in self.projects.all()
        ]

    def _of_project(self, project_id: str, runs: Sequence[Run], redis_up: bool) -> ProjectFigures:
        versions, live = self.projects.published(project_id), self.projects.live(project_id)
        running = next((run for run in runs if run.state == RunState.RUNNING), None)
        metrics = next((version.facts.metrics for version in versions if version.name == live), {})
        return ProjectFigures(
            project=project_id,
            runs=Counter(run.state.value for run in runs),
            training_s=next(
                (run.ended - run.started for run in runs if run.version and run.started and run.ended), None
            ),
            progress=self._progress(running) if running and redis_up else {},
            versions=len(versions),
            live=number_of(live) if live else None,
            metrics={name: float(value) for name, value in metrics.items() if isinstance(value, int | float)},
            corrections=self._corrections(project_id),
        )

    def _progress(self, run: Run) -> Mapping[str, Any]:
        try:
            return self.training.progress(run) or {}
        except QueueError:
            return {}

    def _corrections(self, project_id: str) -> CorrectionFigures | None:
        try:
            status = self.retraining.status(project_id)
            return CorrectionFigures(status.corrected, status.outcomes, self.feedback.fate_counts(project_id))
        except DamagedFileError:  # doctor and the page say so
            return None
