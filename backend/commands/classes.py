"""`boxstrap classes`: what a project's classes are called, in its labeling config, by its model, and before."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.commands.options import JsonOption, ProjectArgument, examples
from backend.settings import Settings
from backend.terminal import warn_of, write_json, write_result

EXAMPLES = examples(
    "boxstrap classes 7", "boxstrap classes 7 --rename crab=krabbe", "boxstrap classes 7 --rename crab="
)


def command(
    project: ProjectArgument,
    rename: Annotated[
        list[str] | None,
        typer.Option("--rename", metavar="OLD=NEW", help="A class that has a new name now; OLD= takes it back."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a project's classes; with --rename, say first which of them have new names."""
    from backend.services.projects import project_number
    from backend.wiring import build

    projects, number = build(Settings.from_env()).services.projects, project_number(project)
    renames = projects.rename_classes(number, dict(_pair(text) for text in rename or ()))
    config = projects.read_config(number, projects.label_config(number))
    live = next((each for each in projects.published(number) if each.name == projects.live(number)), None)
    learned, remarks = list(live.facts.classes) if live else [], projects.remarks(number)
    if as_json:
        found = {"project": number, "classes": list(config.classes), "learned": learned, "renames": renames}
        write_json({**found, "remarks": remarks})
        return
    rows = {
        "in the labeling config": ", ".join(config.classes) or "come with each task",
        "learned by the live version": ", ".join(learned) or "none yet",
        "renamed": ", ".join(f"{old} to {new}" for old, new in renames.items()) or "none",
    }
    write_result(f"Classes of project {number}", rows, f"boxstrap preannotate {number} --anew" if rename else "")
    warn_of(remarks)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not old.strip() or not equals:
        raise typer.BadParameter(f"--rename is {text!r}; give the old and the new name, such as crab=krabbe.")
    return old, new
