"""What all commands have in common: help, version, shell completion, exit codes and error sentences."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backend.cli import main
from tests.backend.support.command_line import SMALL, error_of
from wsol_core.synthetic import dataset as drawing

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "cv2", "PIL", "redis", "rq", "fastapi", "httpx", "label_studio_sdk", "sqlite3"}
COMMANDS = ("train", "localize", "evaluate", "draw")


def test_the_help_names_every_command_and_ends_in_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"boxstrap {name}" in text for name in COMMANDS)
    assert "Examples" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_shows_how_it_is_typed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: boxstrap {name}" in text
    assert f" boxstrap {name} " in text.partition("Examples")[2]


def test_the_version_is_the_one_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "boxstrap 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["train", "nowhere", "--out", "m"], 1),
        (["localize", "m", "nowhere", "--out", "o"], 1),
        (["evaluate", "m", "nowhere"], 1),
    ],
)
def test_help_and_a_wrong_folder_are_answered_before_anything_heavy_is_loaded(arguments: list[str], code: int) -> None:
    script = f"import sys; from backend.cli import main; print(main({arguments}), {HEAVY} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == f"{code} set()", done.stderr


def test_python_m_backend_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "backend", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "boxstrap 0.1.0\n", "")


def test_python_m_wsol_core_says_what_the_package_is() -> None:
    done = subprocess.run([sys.executable, "-m", "wsol_core"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("wsol_core 0.1.0\n\nBoxstrap's learner")


def test_the_shell_can_complete_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("_BOXSTRAP_COMPLETE", "complete_bash"), ("COMP_WORDS", "boxstrap loc"), ("COMP_CWORD", "1")):
        monkeypatch.setenv(name, value)
    assert main([]) == 0
    assert capsys.readouterr().out.split() == ["localize"]


def test_a_missing_argument_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Missing option '--out'" in error_of(capsys, "train", "pictures", code=2)


@pytest.mark.parametrize("command", ["train", "localize"])
def test_a_folder_that_is_not_there_is_named(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = ["model"] if command == "localize" else []
    said = error_of(capsys, command, *before, tmp_path / "nowhere", "--out", tmp_path / "out")
    assert f"{tmp_path / 'nowhere'} does not exist" in said


@pytest.mark.parametrize("command", ["train", "localize"])
def test_pictures_none_of_which_can_be_read_are_an_error(
    command: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("fish/a.jpg", "fish/b.jpg", "ladybird/c.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"no picture")
    before = [str(model)] if command == "localize" else []
    small = SMALL if command == "train" else ()
    assert main([command, *before, str(tmp_path / "images"), "--out", str(tmp_path / "o"), *small]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "Error: " in said.err.splitlines()[-1] and "Traceback" not in said.err


def test_an_unexpected_error_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing, "draw_image", lambda *_: 1 / 0)
    said = error_of(capsys, "draw", tmp_path / "drawn")
    assert said.startswith("Error: ZeroDivisionError: division by zero. This is a fault of the program")


@pytest.mark.parametrize("way", ["option", "variable"])
def test_those_who_ask_see_the_traceback(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing, "draw_image", lambda *_: 1 / 0)
    if way == "variable":
        monkeypatch.setenv("BOXSTRAP_DEBUG", "1")
    options = ["--debug"] if way == "option" else []
    assert main([*options, "draw", str(tmp_path / "drawn")]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_bad_environment_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WSOL_WEIGHTS_DIR", str(tmp_path / "gone"))
    assert "WSOL_WEIGHTS_DIR is" in error_of(capsys, "draw", tmp_path / "drawn")
