"""What can go wrong at the command line: one clear sentence on stderr, and the exit code."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from backend.cli import main
from tests.backend.support.command_line import SMALL, error_of, interrupt_at
from wsol_core.synthetic import dataset as drawing

# --- the command line has no meaning: exit code 2 ---


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--epochs", "2", "--minutes", "1"), "--epochs or --minutes, not both"),
        (("--method", "magic"), "'magic' is unknown; choose one of boxstrap, ornet, bas, wsl_bg, cam"),
        (("--backbone", "alexnet"), "'alexnet' is unknown; choose one of mobilenet_v2"),
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


def test_a_missing_argument_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Missing option '--out'" in error_of(capsys, "train", "pictures", code=2)


def test_localize_takes_only_two_ways_of_choosing_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(capsys, "localize", "m", "i", "--out", tmp_path, "--labels", "both", code=2)
    assert "'both' is unknown; choose one of given, predicted" in said


def test_an_unknown_device_is_named(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(capsys, "train", pictures, "--out", tmp_path / "m", "--device", "toaster")
    assert "'toaster' is unknown; choose auto, cpu, cuda" in said


# --- the pictures ---


@pytest.mark.parametrize("command", ["train", "localize"])
def test_a_folder_that_is_not_there_is_named(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = ["model"] if command == "localize" else []
    said = error_of(capsys, command, *before, tmp_path / "nowhere", "--out", tmp_path / "out")
    assert f"{tmp_path / 'nowhere'} does not exist" in said


def test_an_empty_class_is_named(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(pictures / "images", tmp_path / "images")
    (tmp_path / "images" / "unicorn").mkdir()
    assert "unicorn has no pictures" in error_of(capsys, "train", tmp_path / "images", "--out", tmp_path / "m")


def test_an_unknown_split_is_named_with_the_known_ones(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = error_of(capsys, "localize", model, pictures, "--split", "exam", "--out", tmp_path / "o")
    assert "Split 'exam' is unknown" in said and "test, train" in said


def test_a_class_that_the_model_does_not_know_is_named(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pictures / "images" / "fish", tmp_path / "pictures" / "whale")
    said = error_of(capsys, "localize", model, tmp_path / "pictures", "--out", tmp_path / "o")
    assert "'whale', which the model does not know (it knows fish, ladybird); use --labels predicted" in said


def test_evaluate_names_a_class_that_the_model_does_not_know(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pictures, tmp_path / "pictures")
    lines = tmp_path / "pictures" / "annotations.jsonl"
    lines.write_text(lines.read_text().replace('"label": "fish"', '"label": "whale"'))
    said = error_of(capsys, "evaluate", model, tmp_path / "pictures")
    assert "The model does not know the class 'whale'" in said and "it knows fish, ladybird" in said


def test_evaluate_needs_true_boxes(pictures: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "None of the pictures has a true box" in error_of(capsys, "evaluate", model, pictures / "images")


def test_a_line_that_is_no_json_is_named_by_its_number(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "annotations.jsonl").write_text('{"file": "a.jpg", "label": "fish"}\n{"file": \n')
    assert "annotations.jsonl, line 2 is no JSON" in error_of(capsys, "train", tmp_path, "--out", tmp_path / "m")


def test_an_unreadable_picture_is_named_and_the_rest_is_localized(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pictures / "images", tmp_path / "images")
    torn = sorted((tmp_path / "images" / "fish").iterdir())[0]
    torn.write_bytes(torn.read_bytes()[:100])
    assert main(["localize", str(model), str(tmp_path / "images"), "--out", str(tmp_path / "o"), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith(f"Warning: fish/{torn.name} cannot be read")
    lines = (tmp_path / "o/predictions.jsonl").read_text().splitlines()
    assert len(lines) == 12 and sum("error" in json.loads(line) for line in lines) == 1


def test_training_goes_on_without_an_unreadable_picture(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pictures / "images", tmp_path / "images")
    torn = sorted((tmp_path / "images" / "fish").iterdir())[0]
    torn.write_bytes(b"no picture")
    assert main(["train", str(tmp_path / "images"), "--out", str(tmp_path / "m"), "--epochs", "1", *SMALL]) == 0
    assert f"fish/{torn.name}" in capsys.readouterr().err


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


def test_a_folder_of_backgrounds_without_pictures_is_named(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sky").mkdir()
    said = error_of(capsys, "train", pictures, "--out", tmp_path / "m", "--backgrounds", tmp_path / "sky")
    assert f"There are no pictures in {tmp_path / 'sky'}" in said


# --- weights and models ---


def test_a_weight_file_missing_from_the_named_folder_is_an_error(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WSOL_WEIGHTS_DIR", str(tmp_path))
    said = error_of(capsys, "train", pictures, "--out", tmp_path / "m", "--backbone", "resnet18")
    assert f"Neither resnet18.pt nor resnet18.safetensors is in {tmp_path} (WSOL_WEIGHTS_DIR)" in said
    assert "--no-pretrained" in said


def test_a_folder_that_is_no_model_is_named(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{tmp_path} holds no finished model" in error_of(
        capsys, "localize", tmp_path, pictures, "--out", tmp_path / "o"
    )


def test_training_into_a_folder_in_use_is_refused(
    pictures: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = error_of(capsys, "train", pictures, "--out", model, *SMALL)
    assert f"{model} already holds a training" in said and "--resume" in said


def test_resuming_what_never_began_is_refused(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = error_of(capsys, "train", pictures, "--out", tmp_path / "m", "--resume")
    assert "no checkpoint" in said and "without --resume" in said


# --- the disk ---


def test_a_full_disk_faked_by_a_failing_write_is_a_sentence_of_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Path, "write_bytes", fail_with_no_space)
    said = error_of(capsys, "draw", tmp_path / "drawn", "--images", "4")
    assert "No space left on device" in said and str(tmp_path) in said


def test_a_full_disk_faked_by_a_failing_write_is_a_sentence_of_localize(
    pictures: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Path, "write_bytes", fail_with_no_space)
    said = error_of(capsys, "localize", model, pictures, "--split", "test", "--out", tmp_path / "o")
    assert "No space left on device" in said
    assert not (tmp_path / "o" / "predictions.jsonl").exists()


def test_a_full_disk_faked_while_checkpointing_keeps_the_checkpoint_before(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_at(1, monkeypatch)
    begin = ["train", pictures, "--out", tmp_path / "m", "--epochs", "2", *SMALL]
    error_of(capsys, *begin, code=130)
    kept = (tmp_path / "m" / "checkpoint.pt").read_bytes()
    monkeypatch.undo()
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail_with_no_space)
        said = error_of(capsys, "train", pictures, "--out", tmp_path / "m", "--resume", "--json", on_stdout=True)
    assert "checkpoint.pt could not be written: No space left on device" in said
    assert (tmp_path / "m" / "checkpoint.pt").read_bytes() == kept
    assert main(["train", str(pictures), "--out", str(tmp_path / "m"), "--resume"]) == 0


def fail_with_no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# --- what nobody expected ---


def test_an_unexpected_error_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing, "draw_picture", lambda *_: 1 / 0)
    said = error_of(capsys, "draw", tmp_path / "drawn")
    assert said.startswith("Error: ZeroDivisionError: division by zero. This is a fault of the program")


@pytest.mark.parametrize("way", ["option", "variable"])
def test_those_who_ask_see_the_traceback(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing, "draw_picture", lambda *_: 1 / 0)
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
