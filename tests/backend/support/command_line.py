"""Running the command line in a test: small trainings, failing commands, and a Ctrl-C that comes on time."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backend.cli import main
from backend.commands import train
from backend.commands.training_display import OnProgress

SMALL = ("--backbone", "tiny", "--side", "64", "--batch-size", "4", "--device", "cpu")


def error_of(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 1, on_stdout: bool = False) -> str:
    """What a failing command says, after checking how it ends: its code, one line on stderr, no traceback.

    Lines that warn, as of too short a training, do not count. Nothing is on stdout, but for progress where it
    is expected `on_stdout`.
    """
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == code
    said = capsys.readouterr()
    assert bool(said.out) == on_stdout
    assert "Traceback" not in said.err
    lines = [line for line in said.err.splitlines() if not line.startswith("Warning: ")]
    if code == 1:
        [line] = lines
        assert line.startswith("Error: ")
    return " ".join(" ".join(lines).replace("│", " ").split())


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes when a training's display hears of `step`, counted over all stages."""

    @contextmanager
    def showing(as_json: bool, silent: bool = False) -> Iterator[OnProgress]:
        seen: list[object] = []

        def on_progress(progress: object) -> None:
            seen.append(progress)
            if len(seen) == step:
                signal.raise_signal(signal.SIGINT)

        yield on_progress

    monkeypatch.setattr(train, "showing", showing)


def fail_with_no_space(*_: object, **__: object) -> int:
    """What a write does on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
