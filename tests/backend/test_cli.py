"""The commands as a user types them: help, results and JSON. What goes wrong is in test_cli_errors.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backend.cli import main
from backend.commands.train import command_to_resume
from backend.commands.training_display import as_sentence, as_values, duration, showing
from wsol_core.progress import Progress

COMMANDS = ("train", "localize", "evaluate", "draw")
PROGRESS = Progress(
    stage="localize",
    stage_index=1,
    stages=2,
    epoch=3,
    epochs=8,
    step=24,
    steps=64,
    losses={"region": 0.75, "entropy": 0.5},
    images_per_s=41.7,
    seconds_left=125.0,
)


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


def test_the_help_comes_without_torch() -> None:
    code = "import sys; from backend.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, b"")


def test_draw_writes_pictures_and_says_what_is_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draw", str(tmp_path / "drawn"), "--classes", "2", "--images", "4"]) == 0
    assert len(list((tmp_path / "drawn/images").rglob("*.jpg"))) == 4
    said = capsys.readouterr()
    assert "4 pictures drawn" in said.out
    assert f"Next: boxstrap train {tmp_path / 'drawn'}" in said.out
    assert said.err == ""


def test_draw_tells_programs_the_same_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draw", str(tmp_path / "drawn"), "--classes", "1", "--images", "1", "--seed", "9", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts.pop("seconds") >= 0
    assert facts == {"folder": str(tmp_path / "drawn"), "images": 1, "classes": 1, "seed": 9}


def test_progress_for_programs_carries_every_term_and_their_sum() -> None:
    values = as_values(PROGRESS)
    assert values["event"] == "progress"
    assert (values["loss"], values["losses"]) == (1.25, {"region": 0.75, "entropy": 0.5})
    assert (values["stage"], values["epoch"], values["step"], values["seconds_left"]) == ("localize", 3, 24, 125.0)


def test_progress_for_a_log_is_a_sentence() -> None:
    expected = "localize (2/2), step 24/64, epoch 3/8, loss 1.250, 42 images/s, 2 min 05 s left"
    assert as_sentence(PROGRESS) == expected


def test_without_a_terminal_progress_is_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with showing(as_json=False) as on_progress:
        on_progress(PROGRESS)
        on_progress(PROGRESS)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", as_sentence(PROGRESS) + "\n")  # the second came too soon


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min"), (7830, "2 h 10 min")]
)
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_command_to_resume_is_the_one_that_was_typed_and_resume() -> None:
    typed = ["/usr/bin/boxstrap", "train", "my pictures", "--out", "m"]
    assert command_to_resume(typed) == "boxstrap train 'my pictures' --out m --resume"
    assert command_to_resume([*typed, "--resume"]) == "boxstrap train 'my pictures' --out m --resume"
