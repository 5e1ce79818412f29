"""`boxstrap report`: what pre-annotation brought to a project, as tables, as JSON and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.commands.options import JsonOption, ProjectArgument, examples
from backend.settings import Settings
from backend.terminal import write_json

EXAMPLES = examples("boxstrap report 7", "boxstrap report 7 --out report", "boxstrap report 7 --risk 0.1 --json")


def command(
    project: ProjectArgument,
    risk: Annotated[
        float | None,
        typer.Option(
            "--risk",
            metavar="SHARE",
            min=0.001,
            max=0.999,
            help="Share of wrong regions that a threshold may let through.",
            show_default="0.2",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write a page with plots there, index.html.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what people made of the predictions: accepted, corrected, time saved, and what scores are worth."""
    from backend.commands.report_tables import show_report
    from backend.reports.report import TARGET_RISK, ReportService
    from backend.storage.stores import open_stores

    report = ReportService(open_stores(Settings.from_env())).report(project, TARGET_RISK if risk is None else risk)
    page = None
    if out is not None:
        from backend.reports.page import write_page

        page = write_page(report, out)
    if as_json:
        write_json({**report.to_dict(), "page": None if page is None else str(page)})
        return
    show_report(report)
    if page is not None:
        typer.echo(f"The page: {page}")
