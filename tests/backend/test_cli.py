"""The commands as a user types them: help, results and JSON. What goes wrong is in test_cli_errors.py."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.cli import main
from backend.commands.train import command_to_resume
from backend.commands.training_display import as_sentence, as_values, duration, showing
from tests.backend.support.command_line import SMALL
from wsol_core.training.progress import Progress

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "cv2", "PIL", "redis", "rq", "fastapi", "httpx", "label_studio_sdk", "sqlite3"}
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


def test_train_tells_programs_its_progress_and_last_its_result(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path / "m"), "--epochs", "1", "--boxes-per-class", "all", "--json", *SMALL]
    assert main(["train", str(pictures), *options]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines[-2:]] == ["progress", "result"]
    assert {line["stage"] for line in lines[:-1]} == {"classify", "localize"}
    assert (lines[-1]["model"], lines[-1]["classes"]) == (str(tmp_path / "m"), ["fish", "ladybird"])


def test_train_says_where_the_model_is_and_what_is_next(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path / "m"), "--method", "cam", "--minutes", "0.02", *SMALL]
    assert main(["train", str(pictures), *options, "--backgrounds", str(pictures / "images" / "fish")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("cam on tiny, trained\n")
    assert f"Next: boxstrap localize {tmp_path / 'm'} {pictures} --out boxes" in said


def test_resuming_a_finished_training_changes_nothing(
    pictures: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (model / "model.json").read_bytes()
    assert main(["train", str(pictures), "--out", str(model), "--resume"]) == 0
    assert "has finished; nothing is left to do" in capsys.readouterr().err
    assert (model / "model.json").read_bytes() == before


def test_localize_writes_a_line_a_mask_a_region_and_a_map_a_picture(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["localize", str(model), str(pictures), "--split", "test", "--out", str(tmp_path), "--maps"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("2 pictures localized\n") and said.err == ""
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [line["file"].split("/")[1] for line in lines] == ["ladybird", "fish"]
    for line in lines:
        assert set(line["scores"]) == {"fish", "ladybird"}
        assert {region["label"] for region in line["regions"]} <= {line["file"].split("/")[1]}  # the given label
        assert all((tmp_path / region["mask"]).is_file() for region in line["regions"])
        values = np.load(tmp_path / "maps" / (line["file"].replace("/", "__") + ".npy"))
        assert (values.shape, values.dtype) == ((224, 224), np.float32)
        assert (values.min(), values.max()) == (0, pytest.approx(1))


def test_localize_takes_pictures_without_class_folders(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path), "--json"]
    assert main(["localize", str(model), str(pictures / "images" / "fish"), *options]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["pictures"], facts["unreadable"]) == (6, [])
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert all(region["label"] == line["label"] for line in lines for region in line["regions"])


def test_localize_can_leave_given_labels_aside(model: Path, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures / "images" / "fish", tmp_path / "pictures" / "whale")
    options = ["--out", str(tmp_path / "o"), "--labels", "predicted", "--json"]
    assert main(["localize", str(model), str(tmp_path / "pictures"), *options]) == 0


def test_evaluate_shows_a_row_for_all_and_for_each_class_and_writes_the_report(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ["--report", str(tmp_path / "report")]
    assert main(["evaluate", str(model), str(pictures), "--split", "test", *report]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in said[2:5]] == [["all", "2"], ["fish", "1"], ["ladybird", "1"]]
    assert said[-1] == f"The report: {tmp_path / 'report' / 'index.html'}"
    assert "GT-known Loc" in (tmp_path / "report" / "index.html").read_text()


def test_evaluate_tells_programs_everything_in_json(
    pictures: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(model), str(pictures), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["metrics"]["pictures"] == 12 and facts["report"] is None
    assert {"gt_known_loc", "top1_loc", "top5_loc", "max_box_acc", "max_box_acc_v2", "px_ap", "mask_iou"} <= set(
        facts["metrics"]
    )
    assert set(facts["per_class"]) == {"fish", "ladybird"}


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
