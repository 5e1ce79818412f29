"""A training's progress, for a person at a terminal, for a log file, and for a program."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars

from backend.terminal import say, stderr_console, write_json
from wsol_core.training.progress import Notice, Progress, TrainingHooks

JSON_EVERY_S, LOG_EVERY_S = 0.5, 30.0
OnProgress = Callable[[Progress], None]


@contextmanager
def showing(as_json: bool, silent: bool = False) -> Iterator[OnProgress]:
    """What to call after every step: JSON lines on stdout, a bar on a terminal, else a line on stderr now and then."""
    if silent:
        yield TrainingHooks().on_progress
    elif as_json:
        yield _now_and_then(JSON_EVERY_S, lambda progress: write_json(as_values(progress)))
    elif not stderr_console().is_terminal:
        yield _now_and_then(LOG_EVERY_S, lambda progress: say(as_sentence(progress)))
    else:
        with _bars() as bars:
            task = bars.add_task("Preparing", total=None, facts="")
            yield lambda progress: bars.update(
                task,
                description=f"{progress.stage} ({progress.stage_index + 1}/{progress.stages})",
                total=progress.steps,
                completed=progress.step,
                facts=_facts(progress),
            )


def notices(as_json: bool, silent: bool = False) -> Callable[[Notice], None]:
    """What to call with a training's notices; those that warn are in the log, which people see anyway."""

    def show(notice: Notice) -> None:
        if silent:
            return
        if as_json:
            write_json({"event": "notice", "text": notice.text, "warns": notice.warns})
        elif not notice.warns:
            say(notice.text)

    return show


def _bars() -> Bars:
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    return Bars(*columns, console=stderr_console(), transient=True)


def _now_and_then(every_s: float, show: OnProgress) -> OnProgress:
    """Calls `show` for the first and the last step of a stage, and at most every `every_s` seconds between."""
    last_s = -every_s

    def maybe(progress: Progress) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if progress.step in (1, progress.steps) or now_s - last_s >= every_s:
            last_s = now_s
            show(progress)

    return maybe


def as_values(progress: Progress) -> dict[str, object]:
    """Plain JSON values; `loss` is the sum of `losses`."""
    losses = {name: round(float(value), 6) for name, value in progress.losses.items()}
    return {"event": "progress", **progress.to_values(), "losses": losses}


def as_sentence(progress: Progress) -> str:
    """One line for a log."""
    share = f"{progress.stage} ({progress.stage_index + 1}/{progress.stages}), step {progress.step}/{progress.steps}"
    return f"{share}, {_facts(progress)}"


def _facts(progress: Progress) -> str:
    loss = sum(progress.losses.values())
    epoch = f"epoch {progress.epoch}/{progress.epochs}"
    return f"{epoch}, loss {loss:.3f}, {progress.images_per_s:.0f} images/s, {duration(progress.seconds_left)} left"


def duration(seconds: float) -> str:
    """As people write it: "42 s", "3 min 05 s", "2 h 10 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
