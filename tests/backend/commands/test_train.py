"""`boxstrap train`: results, JSON, resuming, and what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from backend.cli import main
from backend.commands.train import command_to_resume
from tests.backend.support.command_line import SMALL, error_of, fail_with_no_space, interrupt_at


@pytest.mark.slow
def test_train_tells_programs_its_progress_and_last_its_result(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path / "m"), "--epochs", "1", "--boxes-per-class", "all", "--json", *SMALL]
    assert main(["train", str(pictures), *options]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines[-2:]] == ["notice", "result"]
    assert "thresholds" in lines[-2]["text"]
    assert {line["stage"] for line in lines if line["event"] == "progress"} == {"classify", "localize", "separate"}
    length, warning, _ = (line for line in lines if line["event"] == "notice")
    assert "will take about" in length["text"] and not length["warns"]
    assert "not enough" in warning["text"] and warning["warns"]
    assert lines[-1]["faults"]
    assert (lines[-1]["model"], lines[-1]["classes"]) == (str(tmp_path / "m"), ["fish", "ladybird"])


@pytest.mark.slow
def test_train_says_where_the_model_is_and_what_is_next(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path / "m"), "--method", "cam", "--minutes", "0.02", *SMALL]
    assert main(["train", str(pictures), *options, "--negatives", str(pictures / "images" / "fish")]) == 0
    said, beside = capsys.readouterr()
    assert "The training will take about" in beside
    assert "not enough for" in beside and "or leave the length open" in beside
    assert said.startswith("cam on tiny, trained\n")
    assert f"Next: boxstrap localize {tmp_path / 'm'} {pictures} --out boxes" in said


def test_resuming_a_finished_training_changes_nothing(
    pictures: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (model / "model.json").read_bytes()
    assert main(["train", str(pictures), "--out", str(model), "--resume"]) == 0
    assert "has finished; nothing is left to do" in capsys.readouterr().err
    assert (model / "model.json").read_bytes() == before


def test_the_command_to_resume_is_the_one_that_was_typed_and_resume() -> None:
    typed = ["/usr/bin/boxstrap", "train", "my pictures", "--out", "m"]
    assert command_to_resume(typed) == "boxstrap train 'my pictures' --out m --resume"
    assert command_to_resume([*typed, "--resume"]) == "boxstrap train 'my pictures' --out m --resume"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--epochs", "2", "--minutes", "1"), "--epochs or --minutes, not both"),
        (("--method", "magic"), "'magic' is unknown; choose one of boxstrap, ornet, bas, wsl_bg, cam"),
        (("--backbone", "alexnet"), "'alexnet' is unknown; choose one of mobilenet_v2"),
        (("--backbone", "timm:../x"), "'timm:../x' is unknown; choose one of mobilenet_v2"),
        (("--boxes-per-class", "many"), "'many' is neither a number nor all"),
        (("--boxes-per-class", "-1"), "'-1' is neither a number nor all"),
        (("--minutes", "0"), "minutes is 0.0; it has to be more than 0"),
        (("--epochs", "0"), "greater than or equal to 1"),
        (("--side", "100"), "side_px is 100; it has to be a multiple of 32"),
        (("--magic",), "No such option: --magic"),
    ],
)
def test_train_explains_options_without_meaning(
    arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in error_of(capsys, "train", tmp_path, "--out", tmp_path / "model", *arguments, code=2)


def test_an_unknown_device_is_named(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(capsys, "train", pictures, "--out", tmp_path / "m", "--device", "toaster")
    assert "'toaster' is unknown; choose auto, cpu, cuda" in said


def test_an_empty_class_is_named(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(pictures / "images", tmp_path / "images")
    (tmp_path / "images" / "unicorn").mkdir()
    assert "unicorn has no images" in error_of(capsys, "train", tmp_path / "images", "--out", tmp_path / "m")


def test_a_line_that_is_no_json_is_named_by_its_number(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "annotations.jsonl").write_text('{"file": "a.jpg", "label": "fish"}\n{"file": \n')
    assert "annotations.jsonl, line 2 is no JSON" in error_of(capsys, "train", tmp_path, "--out", tmp_path / "m")


@pytest.mark.slow
def test_training_goes_on_without_an_unreadable_picture(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pictures / "images", tmp_path / "images")
    torn = sorted((tmp_path / "images" / "fish").iterdir())[0]
    torn.write_bytes(b"no picture")
    assert main(["train", str(tmp_path / "images"), "--out", str(tmp_path / "m"), "--epochs", "1", *SMALL]) == 0
    assert f"fish/{torn.name}" in capsys.readouterr().err


def test_a_folder_of_backgrounds_without_pictures_is_named(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sky").mkdir()
    said = error_of(capsys, "train", pictures, "--out", tmp_path / "m", "--backgrounds", tmp_path / "sky")
    assert f"There are no pictures in {tmp_path / 'sky'}" in said


def test_a_weight_file_missing_from_the_named_folder_is_an_error(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WSOL_WEIGHTS_DIR", str(tmp_path))
    said = error_of(capsys, "train", pictures, "--out", tmp_path / "m", "--backbone", "resnet18")
    assert f"Neither resnet18.pt nor resnet18.safetensors is in {tmp_path} (WSOL_WEIGHTS_DIR)" in said
    assert "--no-pretrained" in said


def test_training_into_a_folder_in_use_is_refused(
    pictures: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = error_of(capsys, "train", pictures, "--out", model, *SMALL)
    assert f"{model} already holds a training; resume it, or name another folder. To resume, add --resume." in said


def test_resuming_what_never_began_is_refused(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = error_of(capsys, "train", pictures, "--out", tmp_path / "m", "--resume")
    assert "no checkpoint" in said and said.endswith("Leave --resume out to begin it.")


def test_a_model_whose_training_has_not_finished_says_how_to_go_on(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoint.pt").touch()
    said = error_of(capsys, "localize", tmp_path, pictures, "--out", tmp_path / "o")
    assert "its training has not finished; resume it. To resume, run boxstrap train with --resume." in said


@pytest.mark.slow
def test_a_full_disk_faked_while_checkpointing_keeps_the_checkpoint_before(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_at(1, monkeypatch)
    begin = ["train", pictures, "--out", tmp_path / "m", "--epochs", "2", *SMALL]
    error_of(capsys, *begin, code=130)
    kept = (tmp_path / "m" / "checkpoint.pt").read_bytes()
    monkeypatch.undo()
    again = ["train", pictures, "--out", tmp_path / "m", "--resume", "--json"]
    for file, call in (("checkpoint.pt", (os, "fsync")), ("history.jsonl", (Path, "write_text"))):
        with monkeypatch.context() as full:
            full.setattr(*call, fail_with_no_space)
            said = error_of(capsys, *again, on_stdout=True)
        assert f"{file} could not be written: No space left on device" in said
        assert "Go on with: boxstrap " in said and said.endswith(" --resume")
        assert (tmp_path / "m" / "checkpoint.pt").read_bytes() == kept
    assert main([str(argument) for argument in again]) == 0
