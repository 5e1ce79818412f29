"""`boxstrap doctor`: check everything that has to work together, and say what to do where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from backend.commands.options import JsonOption, examples
from backend.settings import Settings
from backend.terminal import spinner, write_json, write_table

if TYPE_CHECKING:
    from backend.doctor.checks import Row

EXAMPLES = examples("boxstrap doctor", "boxstrap doctor --project 7 --backend-url http://boxstrap:9090 --json")
STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "not checked": "dim"}


def command(
    project: Annotated[
        str | None,
        typer.Option(
            "--project", metavar="N", help="Look at this project of Label Studio.", show_default="all that connected"
        ),
    ] = None,
    backend_url: Annotated[
        str | None,
        typer.Option("--backend-url", metavar="URL", help="Boxstrap's address, as Label Studio calls it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine, Label Studio and its projects, and say what to do; exit code 1 where something failed.

    To see whether events arrive, each project gets the title that it has; nothing else is changed.
    """
    from backend.doctor.checks import CheckList
    from backend.doctor.examination import Questions, examine, secrets_of
    from backend.wiring import build

    settings = Settings.from_env()
    checks = CheckList(secrets_of(settings))
    with spinner("Looking"):
        url = backend_url.rstrip("/") if backend_url else None
        examine(build(settings), Questions(project, url), checks)
    if as_json:
        write_json({"ok": not checks.has_failed, "checks": [_facts(row) for row in checks.rows]})
    else:
        write_table(("state", "check", "what was found"), [_cells(row) for row in checks.rows])
    if checks.has_failed:
        raise typer.Exit(1)


def _facts(row: Row) -> dict[str, Any]:
    finding = row.finding
    facts = {"check": row.name, "project": row.project or None, "state": finding.state}
    return {**facts, "found": finding.found, "advice": finding.advice}


def _cells(row: Row) -> Sequence[str | Text]:
    finding = row.finding
    text = Text(finding.found)
    if finding.advice:
        text.append(f"\n{finding.advice}", style="bold" if finding.state == "failed" else "")
    name = f"project {row.project}: {row.name}" if row.project else row.name
    return Text(finding.state, style=STYLES[finding.state]), name, text
