"""The tables of `boxstrap report` on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from backend.reports.agreement import Agreement, Doubt, LabellingTime, Times
from backend.reports.formatting import lasting, moment, number, percent
from backend.reports.report import Report, VersionReport
from backend.reports.scores import ScoreReport
from backend.terminal import write_result, write_table
from wsol_core.evaluation.mistakes import MistakeKind

SHOWN_DOUBTS = 10
SHOWN_MISTAKES = (MistakeKind.MERGED, MistakeKind.SPLIT, MistakeKind.MISSED)  # the others are edits and deletions
COLUMNS = (
    *("reviewed", "accepted", "objects", "accepted", "edited", "deleted", "added"),
    *SHOWN_MISTAKES,
    *("box IoU", "mask IoU"),
)


def show_report(report: Report) -> None:
    """The report on stdout."""
    facts = {
        "project": report.project + (f", {report.title}" if report.title else ""),
        "live version": report.live_version or "none",
    }
    if report.observed is not None:
        facts["Label Studio read"] = moment(report.observed)
    write_result(report.sentence, facts, report.next_step)
    if report.is_empty:
        return
    judged = [version for version in report.versions if version.agreement.tasks]
    if report.versions:
        _heading("Versions")
        columns = ("version", "live", "made", "training", *COLUMNS, "skipped")
        write_table(columns, [_version_cells(version) for version in report.versions])
    if judged:
        newest = judged[-1]
        _heading(f"Classes of {newest.name}")
        rows = [(each.label or "no class", *_agreement_cells(each.agreement)) for each in newest.classes]
        write_table(("class", *COLUMNS), rows)
        typer.echo(
            "Tasks reviewed and accepted untouched; objects predicted and accepted, a box and its masks being one; "
            "edits are objects per task; merged: one prediction over several objects; split: several on one; missed: "
            "none there."
        )
    _show_time(report.time)
    _show_scores(report.scores)
    if report.not_shown:
        typer.echo(report.not_shown)
    if report.doubts:
        _show_doubts(report.doubts, report.doubts_found)


def _heading(text: str) -> None:
    typer.echo()
    write_result(text, {})


def _version_cells(version: VersionReport) -> tuple[str, ...]:
    return (
        version.name,
        ", ".join(["live"] * version.live + ["unreliable"] * bool(version.faults)),
        moment(version.created),
        lasting(version.training_s),
        *_agreement_cells(version.agreement),
        str(version.skipped),
    )


def _agreement_cells(found: Agreement) -> tuple[str, ...]:
    return (
        str(found.tasks),
        percent(found.task_acceptance),
        str(found.objects),
        percent(found.object_acceptance),
        *(number(value) for value in found.edits_per_task.values()),
        *(str(found.mistakes[kind]) for kind in SHOWN_MISTAKES),
        number(found.box_iou),
        number(found.mask_iou),
    )


def _show_time(found: LabellingTime) -> None:
    _heading("Labelling time")
    rows = [_times_cells("with a prediction", found.with_prediction), _times_cells("without", found.without)]
    write_table(("tasks", "counted", "median", "mean", "left out of the mean"), rows)
    typer.echo(found.sentence)


def _times_cells(name: str, found: Times) -> tuple[str, ...]:
    return name, str(found.tasks), lasting(found.median_s), lasting(found.mean_s), str(found.left_out)


def _show_scores(found: ScoreReport) -> None:
    _heading(f"Scores of {found.version or 'all versions'}")
    if found.bins:
        rows = [
            (f"{each.low:.1f} to {each.high:.1f}", str(each.objects), number(each.mean_score), percent(each.right))
            for each in found.bins
        ]
        write_table(("score", "objects", "mean score", "left as it was"), rows)
    typer.echo(found.sentence)
    if found.command:
        typer.echo(f"To set it: {found.command}")


def _show_doubts(found: Sequence[Doubt], all_found: int) -> None:
    _heading("Classes to look at again")
    rows = [
        (str(doubt.task), ", ".join(doubt.given), doubt.seen or "all deleted", percent(doubt.probability))
        for doubt in found[:SHOWN_DOUBTS]
    ]
    write_table(("task", "given", "the model sees", "probability"), rows)
    if all_found > SHOWN_DOUBTS:
        typer.echo(f"{all_found - SHOWN_DOUBTS} more; --json has up to 50.")
