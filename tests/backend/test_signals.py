"""Ctrl-C: the exit code, what is kept, and how to go on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.cli import main
from tests.backend.support.command_line import SMALL, error_of, interrupt_at
from wsol_core.synthetic import dataset as drawing

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_ctrl_c_stops_a_training_which_then_goes_on(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(pictures), "--out", str(tmp_path / "m"), "--epochs", "2", *SMALL]
    monkeypatch.setattr(sys, "argv", ["boxstrap", *arguments])
    handler = signal.getsignal(signal.SIGINT)
    interrupt_at(2, monkeypatch)
    assert main(arguments) == 130
    said = capfd.readouterr().err
    assert "Stopping at the next step" in said
    assert f"Go on with:  boxstrap {' '.join(arguments)} --resume" in said
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.undo()
    assert main([*arguments, "--resume"]) == 0
    assert "trained" in capfd.readouterr().out


@pytest.mark.slow
def test_a_real_interrupt_of_the_program_ends_with_130_and_a_checkpoint(pictures: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "backend", "train", str(pictures), "--out", str(tmp_path / "m"), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, "--epochs", "500", *SMALL], cwd=ROOT, text=True, **pipes) as program:
        assert program.stdout is not None
        assert json.loads(program.stdout.readline())["event"] == "progress"
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "Go on with:" in said and "Traceback" not in said
    assert (tmp_path / "m" / "checkpoint.pt").is_file()


def test_a_second_ctrl_c_ends_the_program_at_once() -> None:
    code = """
import signal
from backend.signals import StopRequest
stop = StopRequest("stopping")
with stop.listening():
    signal.raise_signal(signal.SIGINT)
    assert stop.is_asked()
    signal.raise_signal(signal.SIGINT)
    raise SystemExit("still here")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "stopping")


@pytest.fixture(autouse=True)
def _fresh_signals() -> Iterator[None]:
    """As in a new process: workers that ran in this one may have left handlers of their own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_drawing_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        for _second_look in range(1000):  # Python handles signals at the turn of a loop, not at once
            pass
        raise AssertionError("The signal was not handled.")

    monkeypatch.setattr(drawing, "draw_image", interrupted)
    said = error_of(capsys, "draw", tmp_path / "drawn", code=130)
    assert said == f"Stopped; {tmp_path / 'drawn'} holds part of the pictures. Delete it before drawing again."
