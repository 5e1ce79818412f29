"""`boxstrap jobs` and `boxstrap preannotate`: list and cancel trainings, and write predictions into a project."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.options import DryRunOption, JsonOption, ProjectArgument, choice, examples
from backend.commands.rehearsal import show_rehearsal
from backend.errors import QueueError
from backend.settings import PREANNOTATE_AS, Settings
from backend.terminal import warn_of, write_json, write_result, write_table

if TYPE_CHECKING:
    from backend.storage.runs import Run
    from backend.wiring import Parts

LIST_EXAMPLES = examples("boxstrap jobs list", "boxstrap jobs list --project 7 --json")
CANCEL_EXAMPLES = examples("boxstrap jobs cancel 7-20261121-131713-4a5b6c")
PREANNOTATE_EXAMPLES = examples(
    "boxstrap preannotate 7", "boxstrap preannotate 7 --as prediction", "boxstrap preannotate 7 --anew"
)
SHOWN = 20

app = typer.Typer(no_args_is_help=True, help="See the trainings and queues, and cancel a training.")


@app.command("list", epilog=LIST_EXAMPLES)
def list_jobs(
    project: Annotated[
        str | None, typer.Option("--project", metavar="N", help="Only this project's.", show_default="all")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help=f"All of them, not the newest {SHOWN}.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show trainings, newest first, and how full the queues are."""
    parts = _parts()
    runs = parts.services.training.runs(project)
    shown = runs if every else runs[:SHOWN]
    status = parts.services.status.now()
    progress = {run.id: _progress(parts, run) for run in shown} if status.redis_up else {}
    warn_of(parts.services.projects.notices())
    if not status.redis_up:
        problem = status.redis_problem or "Redis does not answer; start `boxstrap up`."
        warn_of([f"{problem} Trainings are shown as they were last noted."])
    if as_json:
        found = [{**_facts(run), "progress": progress.get(run.id)} for run in shown]
        queues = {name: {**jobs, "workers": status.workers[name]} for name, jobs in status.jobs.items()}
        write_json({"redis": status.redis_up, "runs": found, "queues": queues})
        return
    if shown:
        columns = ("run", "project", "state", "created", "started by", "pictures", "version", "progress or reason")
        write_table(columns, [_cells(run, progress.get(run.id)) for run in shown])
    else:
        write_result("No training yet", {}, 'press "Start training" in Label Studio')
    if status.jobs:
        states = ("queued", "started", "scheduled", "failed")
        rows = [
            (name, str(status.workers[name]), *(str(jobs[state]) for state in states))
            for name, jobs in status.jobs.items()
        ]
        typer.echo()
        write_table(("queue", "workers", *states), rows)


@app.command("cancel", epilog=CANCEL_EXAMPLES)
def cancel(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A name that `boxstrap jobs list` shows.")],
    as_json: JsonOption = False,
) -> None:
    """End a training that waits or runs; one that has ended stays as it ended."""
    training = _parts().services.training
    before = training.find(run)
    after = training.cancel(run)
    if as_json:
        write_json({**_facts(after), "cancelled": after.ended != before.ended})
    elif after.ended != before.ended:
        write_result(f"{run} is cancelled", {"project": after.project_id, "was": before.state})
    else:
        write_result(f"{run} had ended already", {"project": after.project_id, "state": after.state})


def preannotate(
    project: ProjectArgument,
    shown_as: Annotated[
        str | None,
        choice(
            PREANNOTATE_AS,
            "--as",
            help="Also as drafts of your annotations that only name classes, or as predictions alone.",
            show_default="PREANNOTATE_AS",
        ),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Once more where the version's are there: a threshold or a name changed.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a worker write the live version's boxes and masks into Label Studio, for all open tasks of the project."""
    parts = _parts()
    if dry_run:
        show_rehearsal(parts, project, parts.stores.models.current(project), as_json, anew)
        return
    parts.services.training.preannotate(project, None if shown_as is None else shown_as == "draft", anew)
    version = parts.stores.models.current(project)
    if as_json:
        write_json({"project": project, "version": version, "state": "queued"})
        return
    write_result(f"Project {project} is being pre-annotated", {"version": str(version)}, "boxstrap jobs list")


def _parts() -> Parts:
    from backend.wiring import build

    return build(Settings.from_env())


def _progress(parts: Parts, run: Run) -> dict[str, Any] | None:
    try:
        return parts.services.training.progress(run)
    except QueueError:  # it went away just now; the warning comes with the next list
        return None


def _facts(run: Run) -> dict[str, Any]:
    facts = asdict(run)
    facts.pop("config")
    return facts


def _cells(run: Run, progress: dict[str, Any] | None) -> tuple[str, ...]:
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created))
    pictures = "" if run.pictures is None else str(run.pictures)
    doing = run.reason
    if progress:
        left = progress.get("seconds_left")
        doing = f"{progress.get('stage', '')} {progress.get('epoch', '')}/{progress.get('epochs', '')}"
        doing += "" if left is None else f", {left:.0f} s left"
    return run.id, run.project_id, run.state, created, run.trigger, pictures, run.version or "", doing
