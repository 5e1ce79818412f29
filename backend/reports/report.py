"""Build a project's report, as plain values, from the ledger, the registry and the runs.

agreement.py and scores.py count.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from backend.errors import NotFoundError
from backend.reports.agreement import (
    MOST_DOUBTS,
    Agreement,
    Doubt,
    LabellingTime,
    agreement,
    by_class,
    doubts,
    is_reviewed,
    labelling_time,
    percent_text,
    version_of,
)
from backend.reports.scores import ScoreReport, score_report
from backend.storage.ledger_rows import LedgerRow, Outcome
from backend.storage.models import Version
from backend.storage.projects import Project
from backend.storage.runs import Run
from backend.storage.stores import Stores
from backend.storage.version_facts import VersionFacts
from backend.wording import left_out_sentence

TARGET_RISK = 0.2


@dataclass(frozen=True, slots=True)
class ClassReport:
    """A class of one version; `label` None: objects without a class."""

    label: str | None
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class VersionReport:
    """A version, what people did with its predictions, and what it cost. Facts are None of a version deleted since."""

    name: str
    live: bool
    agreement: Agreement
    classes: list[ClassReport]
    skipped: int
    created: float | None = None
    parent: str | None = None
    pictures: int | None = None
    gate: str = ""
    training_s: float | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of all trainings that have ended; `fruitless_s` of those that published no version."""

    trainings: int
    training_s: float
    fruitless_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a project. Times are seconds since 1970; `observed`: when Label Studio was last read."""

    project: str
    title: str
    made: float
    observed: float | None
    live_version: str | None
    sentence: str
    next_step: str
    tasks: dict[str, int]  # by outcome
    total: Agreement
    versions: list[VersionReport]  # oldest first
    time: LabellingTime
    scores: ScoreReport
    doubts_found: int
    doubts: list[Doubt] = field(default_factory=list)
    cost: Cost = field(default_factory=lambda: Cost(0, 0.0, 0.0))
    not_shown: str = ""  # objects of the live version, as a sentence

    @property
    def is_empty(self) -> bool:
        """Return whether there is no figure to show: nobody has judged or drawn anything yet."""
        return not (self.tasks["accepted"] or self.tasks["corrected"] or self.tasks["skipped"] or self.doubts)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ReportInput:
    """All that a report is computed from. `runs` are the project's, `observed` as in Report.

    `preannotated`: the chunk that the last pre-annotation ended with, as JSON values; None before one has.
    """

    project: Project
    rows: Sequence[LedgerRow]
    versions: Sequence[Version] = ()  # oldest first
    live: str | None = None
    runs: Sequence[Run] = ()
    observed: float | None = None
    preannotated: Mapping[str, Any] | None = None


class ReportService:
    """Builds reports from what is stored; asks neither Label Studio nor Redis."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def report(self, project_id: str, target_risk: float = TARGET_RISK) -> Report:
        """Return the report as of now. Raises: NotFoundError for a project that was never set up and has no version."""
        stores = self._stores
        known = {name: Project(name, "") for name in stores.models.projects()}
        known |= {project.id: project for project in stores.projects.all()}
        if project_id not in known:
            names = ", ".join(sorted(known, key=lambda name: (len(name), name)))
            raise NotFoundError(
                f"Boxstrap knows no project {project_id[:40]!r}; it knows: {names}."
                if names
                else f"Boxstrap knows no project {project_id[:40]!r}, nor any other; connect it in Label Studio first."
            )
        cursor = stores.feedback.cursor(project_id)
        material = ReportInput(
            known[project_id],
            stores.feedback.rows(project_id),
            stores.models.versions(project_id),
            stores.models.current(project_id),
            stores.runs.of_project(project_id),
            cursor.synced if cursor else None,
            stores.feedback.next_chunk(project_id),
        )
        return build_report(material, time.time(), target_risk)


def build_report(material: ReportInput, made: float, target_risk: float = TARGET_RISK) -> Report:
    """Args: made: now. target_risk: share of wrong objects that a score threshold may let through."""
    rows, project = material.rows, material.project
    total, live = agreement(rows), material.live
    doubted = doubts(rows)
    sentence, next_step = _conclusion(material, total)
    return Report(
        project=project.id,
        title=project.title,
        made=made,
        observed=material.observed,
        live_version=live,
        sentence=sentence,
        next_step=next_step,
        tasks={outcome.value: sum(row.outcome == outcome for row in rows) for outcome in Outcome},
        total=total,
        versions=_versions(material),
        time=labelling_time(rows),
        scores=score_report(rows, project.id, live, target_risk),
        doubts_found=len(doubted),
        doubts=doubted[:MOST_DOUBTS],
        cost=_cost(material.runs),
        not_shown=_not_shown(material),
    )


def _not_shown(material: ReportInput) -> str:
    chunk = material.preannotated
    if chunk is None or chunk.get("version") != material.live:
        return ""
    return left_out_sentence(chunk.get("left_out", {}), chunk.get("empty", 0))


def _versions(material: ReportInput) -> list[VersionReport]:
    """Return the versions that people have judged, and those of the registry; deleted ones first."""
    rows_of: dict[str, list[LedgerRow]] = {}
    for row in material.rows:
        if (name := version_of(row)) is not None:
            rows_of.setdefault(name, []).append(row)
    facts_of = {version.name: version.facts for version in material.versions}
    seconds_of = {run.version: _seconds(run) for run in reversed(material.runs) if run.version is not None}
    names = sorted(name for name, rows in rows_of.items() if name not in facts_of and any(map(is_reviewed, rows)))
    return [
        _version(
            name, facts_of.get(name, VersionFacts()), rows_of.get(name, []), name == material.live, seconds_of.get(name)
        )
        for name in (*names, *facts_of)
    ]


def _version(
    name: str, facts: VersionFacts, rows: Sequence[LedgerRow], live: bool, training_s: float | None
) -> VersionReport:
    return VersionReport(
        name=name,
        live=live,
        agreement=agreement(rows),
        classes=[ClassReport(label, figures) for label, figures in by_class(rows).items()],
        skipped=sum(row.outcome == Outcome.SKIPPED for row in rows),
        created=facts.created,
        parent=facts.parent,
        pictures=facts.pictures,
        gate=facts.gate.sentence if facts.gate else "",
        training_s=training_s,
        faults=facts.faults,
    )


def _seconds(run: Run) -> float | None:
    """Return the seconds from the run's first start to its end, on whatever it was trained."""
    return None if run.started is None or run.ended is None else round(max(0.0, run.ended - run.started), 1)


def _cost(runs: Sequence[Run]) -> Cost:
    ended = [(run, seconds) for run in runs if (seconds := _seconds(run)) is not None]
    fruitless = sum(seconds for run, seconds in ended if run.version is None)
    return Cost(len(ended), round(sum(seconds for _, seconds in ended), 1), round(fruitless, 1))


def _conclusion(material: ReportInput, total: Agreement) -> tuple[str, str]:
    """Return a sentence that sums up, and the next step; "" if there is none."""
    if total.task_acceptance is not None:
        corrected = total.tasks - total.accepted_tasks
        negative = sum(row.is_negative for row in material.rows)
        return (
            f"People have reviewed the predictions of {total.tasks} tasks: {total.accepted_tasks} "
            f"({percent_text(total.task_acceptance)}) were accepted untouched, {corrected} corrected."
            + (f" In {negative} they left nothing, so none of the classes is there." if negative else ""),
            "",
        )
    if not material.versions:
        return (
            "There is nothing to report yet: no version has been trained.",
            'choose classes for some pictures in Label Studio and press "Start training"',
        )
    sentence = "There is nothing to report yet: nobody has reviewed a prediction."
    drawn = sum(row.outcome == Outcome.CORRECTED for row in material.rows)
    if drawn:
        sentence += f" People drew {drawn} {'task' if drawn == 1 else 'tasks'} without one."
    if material.live is None:
        newest = material.versions[-1].name
        return f"{sentence} No version is live.", f"boxstrap models activate {material.project.id} {newest}"
    return (
        sentence,
        f"open predicted tasks in Label Studio, correct and submit them; `boxstrap preannotate {material.project.id}` "
        "writes the predictions",
    )
