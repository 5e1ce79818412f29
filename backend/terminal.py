"""Terminal output: messages, warnings, progress bars and a service's log on stderr; results on stdout."""

from __future__ import annotations

import functools
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

MOST_WARNINGS = 10
WIDE = 10_000  # columns; no line is broken
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@functools.cache
def stderr_console() -> Console:
    """One console for bars and messages, so that a message does not tear a bar."""
    return Console(stderr=True, highlight=False)


def say(sentence: str, kind: str = "", style: str = "") -> None:
    """One sentence on stderr, after its kind ("Error") in `style`; never broken into lines, so that it can be found."""
    text = Text.assemble((f"{kind}: ", style), sentence) if kind else Text(sentence)
    stderr_console().print(text, soft_wrap=True)


def warn_of(sentences: Sequence[str]) -> None:
    """The first few as warnings, and how many more there are."""
    for sentence in sentences[:MOST_WARNINGS]:
        say(sentence, "Warning", "yellow")
    if (more := len(sentences) - MOST_WARNINGS) > 0:
        say(f"{more} more like these.", "Warning", "yellow")


class _StderrHandler(logging.Handler):
    """Log records as sentences on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "bold red" if record.levelno >= logging.ERROR else "yellow" if record.levelno >= logging.WARNING else ""
        say(self.format(record), record.levelname.capitalize(), style)


def _name_variable(record: logging.LogRecord) -> bool:
    """The learner's warning of missing weights names its argument; who reads our log sets the variable."""
    if record.name == "wsol_core.networks.pretrained":
        record.msg = str(record.msg).replace("weights_dir", "WSOL_WEIGHTS_DIR")
    return True


@contextmanager
def logs_on_stderr(debug: bool) -> Iterator[None]:
    """Inside, warnings of our code are sentences on stderr; with `debug` everything that anyone logs or warns of."""
    handler, root, python_warnings = _StderrHandler(), logging.getLogger(), logging.getLogger("py.warnings")
    before, propagated = root.level, python_warnings.propagate
    handler.addFilter(_name_variable)
    root.addHandler(handler)
    root.setLevel(logging.INFO if debug else logging.WARNING)
    # Libraries warn programmers; users can do nothing about a deprecation.
    python_warnings.propagate = debug
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        root.setLevel(before)
        python_warnings.propagate = propagated


def log_to_stderr(level: str) -> None:
    """Logs of a service: one line a record, with its time. The libraries' own INFO is noise, and httpx's has URLs."""
    logging.basicConfig(level=level, format=LOG_FORMAT, stream=sys.stderr, force=True)
    logging.getLogger().handlers[0].addFilter(_name_variable)
    warnings.filterwarnings(
        "ignore", module=r"PIL\b"
    )  # a line for each broken tag of a picture, which is used all the same
    for name in ("httpx", "httpcore", "uvicorn.access", "urllib3", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)


def write_json(values: Mapping[str, Any]) -> None:
    """One JSON object on a line of stdout, at once."""
    sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def write_result(title: str, rows: Mapping[str, str], next_step: str = "") -> None:
    """Facts on stdout, one a line, and what to do next; lines are left whole, since paths are copied from them."""
    console = Console(highlight=False)
    console.print(title, style="bold", markup=False, soft_wrap=True)
    wide = max(map(len, rows), default=0) + 2
    for name, value in rows.items():
        console.print(Text.assemble((name.ljust(wide), "dim"), value), soft_wrap=True)
    if next_step:
        console.print(Text.assemble(("Next: ", "dim"), next_step), soft_wrap=True)


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Rows on stdout; each is one line where they go to a file or a program, so that it can be found."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table)
        return
    wide = Console(highlight=False, width=WIDE)
    with wide.capture() as printed:
        wide.print(table)
    sys.stdout.writelines(line.rstrip() + "\n" for line in printed.get().splitlines())


@contextmanager
def progress_bar(doing: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr for `total` pictures; call the function with how many are done. Nothing without a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Progress(*columns, console=stderr_console(), transient=True, disable=not stderr_console().is_terminal) as bar:
        task = bar.add_task(doing, total=total, speed="")

        def done(count: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=count, speed=f"{speed:.1f} images/s" if speed else "")

        yield done


@contextmanager
def spinner(doing: str) -> Iterator[None]:
    """Show a spinner on a terminal while the body runs."""
    if stderr_console().is_terminal:
        with stderr_console().status(doing):
            yield
    else:
        yield
