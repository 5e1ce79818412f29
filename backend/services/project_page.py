"""All that a project's page shows: classes, the training that runs, versions, their predictions, what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.errors import DamagedFileError, QueueError, RequestError
from backend.labelstudio.corrections import in_holdout
from backend.labelstudio.label_config import LabelConfig
from backend.queueing.progress import PreannotationProgress
from backend.services.next_step import NextStep, Standing, next_step
from backend.services.projects import ProjectService
from backend.services.retraining import RetrainingService, RetrainingStatus
from backend.services.verdicts import Badge, Figure, badges, circumstances, figures, is_suggested, verdict
from backend.storage.class_counts import ClassCount, manifest_counts
from backend.storage.galleries import GalleryPicture
from backend.storage.models import Version
from backend.storage.policies import Policy
from backend.storage.projects import Project
from backend.storage.runs import Run, RunState
from backend.storage.stores import Stores
from backend.storage.version_files import HISTORY
from wsol_core.evaluation.loss_plot import loss_curves
from wsol_core.training.history import read_history


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version as the page shows it. `gate` is the sentence behind `verdict`; `counts` are of its own pictures."""

    name: str
    live: bool
    created: float | None
    classes: Sequence[str]
    badges: Sequence[Badge]
    verdict: str
    gate: str
    faults: Sequence[str]
    figures: Sequence[Figure]
    circumstances: Sequence[Figure]
    counts: Sequence[ClassCount]
    gallery: Sequence[GalleryPicture]


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project as its page shows it. `counted`: whether `classes` are as people have labelled them by now."""

    project: Project
    live: str | None
    next: NextStep | None
    classes: Sequence[ClassCount]
    counted: bool
    versions: Sequence[VersionView]
    runs: Sequence[Run]
    failed: Run | None
    policy: Policy
    retraining: str
    preannotation: PreannotationProgress | None


class ProjectPages:
    """Reads what is stored; asks Redis for the pre-annotation only."""

    def __init__(self, stores: Stores, projects: ProjectService, retraining: RetrainingService) -> None:
        self._stores, self._projects, self._retraining = stores, projects, retraining

    def next_step(self, project_id: str) -> NextStep | None:
        """Return what to do next. Raises: NotFoundError for a project that was never set up and has no version."""
        return self.show(project_id, briefly=True).next

    def show(self, project_id: str, briefly: bool = False) -> ProjectView:
        """Return the page's content; `briefly` without what takes reading many files."""
        self._projects.require(project_id)
        project = self._stores.projects.find(project_id) or Project(project_id, "")
        versions, live = self._projects.published(project_id), self._projects.live(project_id)
        runs, status = self._stores.runs.of_project(project_id), self._status(project_id)
        policy, writing = self._retraining.policy(project_id), self._preannotation(project_id)
        classes = self._classes(project, versions, status.class_counts)
        ended = next((run for run in runs if run.state.has_ended), None)
        failed = ended if ended is not None and ended.state == RunState.FAILED else None
        active = [run for run in runs if not run.state.has_ended]
        now = Standing(
            works=bool(active),
            writes=writing is not None and not writing.ended,
            bare=writing is not None and writing.ended and 0 < writing.done <= writing.empty,
            failed=failed is not None,
            live=live,
            suggested=next((each.name for each in versions if is_suggested(each, live)), None),
            versions=len(versions),
            faults=next((each.facts.faults for each in versions if each.name == live), ()),
            labelled=sum(status.outcomes.values()) if status.class_counts else 0,
            lacking=[each.label for each in classes if each.pictures < policy.min_per_class] if status.observed else (),
            corrected=status.corrected,
            reviewed=status.outcomes.get("accepted", 0) + status.outcomes.get("corrected", 0),
            by_itself=bool(policy.every or policy.cron),
        )
        return ProjectView(
            project=project,
            live=live,
            next=next_step(now),
            classes=classes,
            counted=bool(status.class_counts),
            versions=[] if briefly else [self._version(project_id, each, live) for each in versions],
            runs=sorted(active, key=lambda run: run.created),
            failed=failed,
            policy=policy,
            retraining=status.reason,
            preannotation=writing,
        )

    def loss_curves(self, run: Run) -> str:
        """Return the losses of a run that is being trained as an SVG with its legend; "" before there are some."""
        history = read_history(self._stores.runs.folder(run.id) / "model" / HISTORY)
        return loss_curves(history) if any("losses" in line for line in history) else ""

    def samples(self, run: Run) -> list[GalleryPicture]:
        """Return what a run that is being trained found in a few pictures lately."""
        return self._stores.galleries.find(run.project_id, run.id)

    def picture(self, project_id: str, name: str, task: str) -> Path | None:
        """Return the file of a task's picture in the gallery of a version or run; None where it is not shown."""
        return self._stores.galleries.picture(project_id, name, task)

    def _version(self, project_id: str, version: Version, live: str | None) -> VersionView:
        facts = version.facts
        return VersionView(
            name=version.name,
            live=version.name == live,
            created=facts.created,
            classes=facts.classes,
            badges=badges(version, live),
            verdict=verdict(version, live),
            gate=facts.gate.sentence if facts.gate else "",
            faults=facts.faults,
            figures=figures(version),
            circumstances=circumstances(version),
            counts=manifest_counts(version.folder / "manifest.jsonl"),
            gallery=self._stores.galleries.find(project_id, version.name),
        )

    def _status(self, project_id: str) -> RetrainingStatus:
        try:
            return self._retraining.status(project_id)
        except DamagedFileError as error:  # the ledger, without which the rest can be shown
            return RetrainingStatus(project_id, False, str(error), 0, {}, {}, None)

    def _classes(self, project: Project, versions: Sequence[Version], pictures: Mapping[str, int]) -> list[ClassCount]:
        """Return how people have labelled by now; before that was read, what the newest version learned from."""
        if not pictures and versions:
            return list(manifest_counts(versions[0].folder / "manifest.jsonl"))
        corrected = self._stores.feedback.corrected_labels(project.id) if pictures else {}
        known = dict.fromkeys([*pictures, *_configured(project)])
        return [
            ClassCount(
                label,
                pictures.get(label, 0),
                sum(label in labels for labels in corrected.values()),
                sum(label in labels and in_holdout(project.id, task) for task, labels in corrected.items()),
            )
            for label in known
        ]

    def _preannotation(self, project_id: str) -> PreannotationProgress | None:
        try:
            return self._projects.preannotation(project_id)
        except QueueError:
            return None


def _configured(project: Project) -> Sequence[str]:
    try:
        return LabelConfig.parse(project.label_config).classes if project.label_config else ()
    except RequestError:
        return ()
