"""`boxstrap policy` and `boxstrap retrain`: when a project is trained by itself, and training it now."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.options import DryRunOption, JsonOption, ProjectArgument, examples
from backend.commands.rehearsal import NEXT_VERSION, show_rehearsal
from backend.settings import Settings
from backend.terminal import write_json, write_result

if TYPE_CHECKING:
    from backend.wiring import Parts

POLICY_EXAMPLES = examples(
    "boxstrap policy 7",
    "boxstrap policy 7 --every 20 --quiet 22:00-07:00",
    "boxstrap policy 7 --cron '0 3 * * *' --gate suggest",
    "boxstrap policy 7 --sampling uncertainty",
)
RETRAIN_EXAMPLES = examples("boxstrap retrain 7")
GATE_MEANINGS = {
    "auto": "a new version goes live if it is not worse",
    "suggest": "a new version that is not worse is suggested; a person activates it",
    "manual": "a person activates new versions",
}

SAMPLING_MEANINGS = {
    "": "as the project has it",
    "uncertainty": "the least certain first, of the class with the fewest corrections",
    "sequential": "one after the other",
    "uniform": "at random",
}


def policy(
    project: ProjectArgument,
    every: Annotated[
        int | None, typer.Option("--every", metavar="N", help="Train after N new corrections; 0: never.")
    ] = None,
    cron: Annotated[
        str | None, typer.Option("--cron", metavar="EXPR", help="Train at these times of the server; '': at none.")
    ] = None,
    quiet: Annotated[
        str | None,
        typer.Option("--quiet", metavar="HH:MM-HH:MM", help="No training starts by itself then; '': none."),
    ] = None,
    min_per_class: Annotated[
        int | None,
        typer.Option("--min-per-class", metavar="N", help="Pictures of every class before the first training."),
    ] = None,
    gate: Annotated[
        str | None, typer.Option("--gate", metavar="auto|suggest|manual", help="How a new version goes live.")
    ] = None,
    sampling: Annotated[
        str | None,
        typer.Option(
            "--sampling", metavar="uncertainty|sequential|uniform", help="Order of tasks in Label Studio; '': its own."
        ),
    ] = None,
    score_threshold: Annotated[
        str | None,
        typer.Option("--score-threshold", metavar="X|none", help="Leave out regions that score less, 0 to 1."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show when a project is trained by itself and how its versions go live; with options, change that first."""
    from backend.services.projects import project_number
    from backend.services.retraining import show_policy

    retraining, number = _parts().services.retraining, project_number(project)
    changes = {
        "every": every,
        "cron": cron,
        "quiet": quiet,
        "min_per_class": min_per_class,
        "gate": gate,
        "sampling": sampling,
    }
    named: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    if score_threshold is not None:
        named["score_threshold"] = _share(score_threshold)
    found = show_policy(retraining.change_policy(number, **named) if named else retraining.policy(number))
    status = retraining.status(number)
    if as_json:
        write_json({"project": number, "policy": found, "loop": asdict(status)})
        return
    rows = {
        "new corrections": str(found["every"] or "start nothing"),
        "cron": found["cron"] or "none",
        "quiet hours": found["quiet"] or "none",
        "first training": f"from {found['min_per_class']} pictures of every class",
        "gate": f"{found['gate']}: {GATE_MEANINGS[found['gate']]}",
        "order of tasks": SAMPLING_MEANINGS[found["sampling"]],
        "score threshold": "as set elsewhere" if found["score_threshold"] is None else f"{found['score_threshold']:g}",
        "now": status.reason,
    }
    # Label Studio is told at the end of a pre-annotation, which has little to do where all predictions are there.
    following = f"boxstrap preannotate {number}" if sampling else ""
    if score_threshold is not None:
        following = f"boxstrap preannotate {number} --anew, which applies the threshold to all tasks"
    if not named and not found["every"] and not found["cron"]:
        following = f"boxstrap policy {number} --every 20, and 20 corrections start a training"
    write_result(f"Policy of project {number}", rows, following)


def retrain(project: ProjectArgument, dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Train a project now, whatever its policy says; boxes and masks are written into Label Studio if it goes live."""
    from backend.services.projects import project_number
    from backend.services.training import COMMAND_LINE

    parts, number = _parts(), project_number(project)
    services = parts.services
    services.projects.require(number)
    if dry_run:
        show_rehearsal(parts, number, NEXT_VERSION, as_json)
        return
    run = services.training.start(number, COMMAND_LINE)
    if as_json:
        write_json({"project": number, "run": run.id, "state": run.state, "trigger": run.trigger})
        return
    write_result(f"{run.id} is queued", {"project": number, "started by": run.trigger}, "boxstrap jobs list")


def _parts() -> Parts:
    from backend.wiring import build

    return build(Settings.from_env())


def _share(text: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"--score-threshold is {text!r}; give a number from 0 to 1, or none.") from None
