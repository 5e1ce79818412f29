"""`boxstrap models`: the published versions of each project, and which of them is live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands import export_model
from backend.commands.options import DryRunOption, JsonOption, ProjectArgument, examples
from backend.commands.rehearsal import show_rehearsal
from backend.settings import Settings
from backend.terminal import warn_of, write_json, write_result, write_table

if TYPE_CHECKING:
    from backend.storage.models import ModelRegistry, Version
    from backend.wiring import Parts

LIST_EXAMPLES = examples("boxstrap models list", "boxstrap models list 7 --json")
ACTIVATE_EXAMPLES = examples("boxstrap models activate 7 boxstrap-7-0002")
ROLLBACK_EXAMPLES = examples("boxstrap models rollback 7")
DELETE_EXAMPLES = examples("boxstrap models delete 7 boxstrap-7-0001")

VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="A name that `boxstrap models list` shows.")]

HOLDOUT = "holdout_"  # metrics of the pictures that were kept apart in training; JSON has all metrics

app = typer.Typer(
    no_args_is_help=True, help="See, activate, roll back, export and delete versions that trainings published."
)


app.command("export", epilog=export_model.EXAMPLES)(export_model.command)


@app.command("list", epilog=LIST_EXAMPLES)
def list_versions(
    project: Annotated[
        str | None,
        typer.Argument(metavar="[PROJECT]", help="Label Studio's number of the project.", show_default="all"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show versions, oldest first, and which one predicts."""
    registry = _registry()
    if project is not None:
        _check_project(registry, project)
    rows = [
        _row(number, version, registry.current(number))
        for number in ([project] if project else registry.projects())
        for version in registry.versions(number)
    ]
    if as_json:
        write_json({"versions": rows})
    elif not rows:
        write_result("No version yet", {"folder": str(registry.root)}, 'press "Start training" in Label Studio')
    else:
        columns = ("project", "version", "live", "classes", "pictures", "holdout", "created")
        write_table(columns, [_cells(row) for row in rows])
        warn_of([f"{row['version']}: {' '.join(row['faults'])}" for row in rows if row["faults"]])


@app.command("activate", epilog=ACTIVATE_EXAMPLES)
def activate(
    project: ProjectArgument, version: VersionArgument, dry_run: DryRunOption = False, as_json: JsonOption = False
) -> None:
    """Let another version predict from now on, an older one too, and write its boxes and masks into Label Studio."""
    registry = _registry()
    _check_project(registry, project)
    registry.folder(project, version)
    _make_live(_parts(), project, version, dry_run, as_json)


@app.command("rollback", epilog=ROLLBACK_EXAMPLES)
def rollback(project: ProjectArgument, dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Go back to the version that was live before the live one was trained; its boxes and masks are written again."""
    _check_project(_registry(), project)
    parts = _parts()
    _make_live(parts, project, parts.services.projects.parent(project), dry_run, as_json)


@app.command("delete", epilog=DELETE_EXAMPLES)
def delete(project: ProjectArgument, version: VersionArgument, as_json: JsonOption = False) -> None:
    """Remove a version that is not live; its name is not given again."""
    registry = _registry()
    _check_project(registry, project)
    registry.delete(project, version)
    if as_json:
        write_json({"project": project, "deleted": version})
        return
    write_result(f"{version} is deleted", {"project": project, "live": registry.current(project) or "none"})


def _make_live(parts: Parts, project: str, version: str, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        show_rehearsal(parts, project, version, as_json)
        return
    before = parts.stores.models.current(project)
    problem = parts.services.projects.activate(project, version)
    if as_json:
        write_json({"project": project, "live": version, "before": before, "preannotation": problem is None})
        return
    facts = {"project": project, "before": before or "none", "boxes and masks": "are being written"}
    if problem is not None:
        facts["boxes and masks"] = f"are not written: {problem}"
    write_result(
        f"{version} is live", facts, "boxstrap jobs list" if problem is None else f"boxstrap preannotate {project}"
    )


def _parts() -> Parts:
    from backend.wiring import build

    return build(Settings.from_env())


def _registry() -> ModelRegistry:
    from backend.storage.stores import open_stores

    return open_stores(Settings.from_env()).models


def _check_project(registry: ModelRegistry, project: str) -> None:
    """NotFoundError for a project without versions; it names those that have some."""
    from backend.errors import NotFoundError

    if project not in (known := registry.projects()):
        raise NotFoundError(
            f"Project {project[:40]!r} has no versions in {registry.root}; these have: {', '.join(known) or 'none'}."
        )


def _row(project: str, version: Version, live: str | None) -> dict[str, Any]:
    from backend.services.verdicts import is_suggested

    facts = version.facts.to_dict()
    known = {
        name: facts[name] for name in ("created", "run", "parent", "classes", "pictures", "metrics", "gate", "faults")
    }
    states = {"live": version.name == live, "suggested": is_suggested(version, live)}
    states["first_look"] = version.facts.is_first_look
    return {"project": project, "version": version.name, **states, **known, "folder": str(version.folder)}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    measured = {name.removeprefix(HOLDOUT): value for name, value in (row["metrics"] or {}).items() if HOLDOUT in name}
    holdout = ", ".join(f"{name} {value:g}" for name, value in measured.items() if _is_number(value))
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["created"])) if row["created"] else ""
    classes, pictures = ", ".join(row["classes"] or ()), row["pictures"]
    states = {"first_look": "first look", "live": "live", "suggested": "suggested", "faults": "unreliable"}
    state = ", ".join(words for name, words in states.items() if row[name])
    return row["project"], row["version"], state, classes, "" if pictures is None else str(pictures), holdout, created


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
