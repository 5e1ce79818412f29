"""The report as a page: one file with its plots inside, which loads nothing and runs no script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from backend.reports import plots as plots
from backend.reports.formatting import lasting, moment, number, percent
from backend.reports.report import Report
from backend.templating import template_environment
from wsol_core.errors import StorageError
from wsol_core.evaluation.page import header, stylesheet
from wsol_core.files import next_step, write_whole

TEMPLATES: Final = Path(__file__).with_name("templates")


def write_page(report: Report, folder: Path) -> Path:
    """Writes `folder/index.html` and returns its path. Raises: StorageError where it cannot be written."""
    page = folder / "index.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(page, render(report).encode("utf-8", "replace"))
    except OSError as error:
        raise StorageError(
            f"The report could not be written to {folder}: {error.strerror or error}; {next_step(error)}."
        ) from error
    return page


def render(report: Report, home: str | None = None, project: str | None = None) -> str:
    """The page's HTML. Args: home, project: links to Boxstrap's page and to the project's, where it serves this one."""
    environment = template_environment(TEMPLATES)
    shown: dict[str, Callable[[Any], str]] = {
        "percent": percent,
        "number": number,
        "lasting": lasting,
        "moment": moment,
    }
    environment.filters |= {name: _or_dash(show) for name, show in shown.items()}
    judged = [version for version in report.versions if version.agreement.tasks]
    return environment.get_template("report.html").render(
        report=report,
        style=Markup(stylesheet()),
        header=Markup(header("What pre-annotation brought", home)),
        project_page=project,
        judged=judged,
        newest=judged[-1] if judged else None,
        # The plots escape what they are given.
        acceptance_plot=Markup(plots.acceptance_plot(report.versions)),
        edits_plot=Markup(plots.edits_plot(report.versions)),
        time_plot=Markup(plots.time_plot(report.time)),
        risk_plot=Markup(plots.risk_plot(report.scores)) if report.scores.curve else "",
        reliability_plot=Markup(plots.reliability_plot(report.scores)) if report.scores.bins else "",
    )


def _or_dash(show: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: "–" if value is None else show(value)
