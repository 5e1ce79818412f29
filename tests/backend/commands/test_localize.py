"""`boxstrap localize`: the files that it writes, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from backend.cli import main
from tests.backend.support.command_line import error_of, fail_with_no_space
from wsol_core.localization import predictor


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
    assert all(region["label"] == line["predicted_label"] for line in lines for region in line["regions"])


def test_localize_can_leave_given_labels_aside(model: Path, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures / "images" / "fish", tmp_path / "pictures" / "whale")
    options = ["--out", str(tmp_path / "o"), "--labels", "predicted", "--json"]
    assert main(["localize", str(model), str(tmp_path / "pictures"), *options]) == 0


def test_localize_takes_only_two_ways_of_choosing_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(capsys, "localize", "m", "i", "--out", tmp_path, "--labels", "both", code=2)
    assert "'both' is unknown; choose one of given, predicted" in said


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


def test_an_unreadable_picture_is_named_and_the_rest_is_localized(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pictures / "images", tmp_path / "images")
    torn = sorted((tmp_path / "images" / "fish").iterdir())[0]
    torn.write_bytes(torn.read_bytes()[:100])
    assert main(["localize", str(model), str(tmp_path / "images"), "--out", str(tmp_path / "o"), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith(f"Warning: fish/{torn.name} cannot be read")
    assert json.loads(said.out)["pictures"] == 11
    lines = (tmp_path / "o/predictions.jsonl").read_text().splitlines()
    assert len(lines) == 12 and sum("error" in json.loads(line) for line in lines) == 1


def test_earlier_predictions_are_written_over_only_by_force(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "predictions.jsonl").write_text("precious")
    said = error_of(capsys, "localize", model, pictures, "--split", "test", "--out", tmp_path)
    assert "predictions.jsonl is there already" in said and "--force" in said
    assert (tmp_path / "predictions.jsonl").read_text() == "precious"
    assert main(["localize", str(model), str(pictures), "--split", "test", "--out", str(tmp_path), "--force"]) == 0
    assert (tmp_path / "predictions.jsonl").read_text() != "precious"


def test_a_folder_that_is_no_model_is_named(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{tmp_path} holds no finished model" in error_of(
        capsys, "localize", tmp_path, pictures, "--out", tmp_path / "o"
    )


def test_a_full_disk_faked_by_a_failing_write_is_a_sentence_of_localize(
    pictures: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Path, "write_bytes", fail_with_no_space)
    said = error_of(capsys, "localize", model, pictures, "--split", "test", "--out", tmp_path / "o", "--all")
    assert "No space left on device" in said
    assert not (tmp_path / "o" / "predictions.jsonl").exists()


@pytest.mark.parametrize(("options", "looks_closer"), [((), False), (("--zoom",), True), (("--no-zoom",), False)])
def test_closer_looks_are_the_models_choice_that_an_option_overrules(
    pictures: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    looks_closer: bool,
) -> None:
    seen: list[bool] = []
    real = predictor.from_closer_up
    monkeypatch.setattr(predictor, "from_closer_up", lambda *found: seen.append(True) or real(*found))
    assert main(["localize", str(model), str(pictures), "--split", "test", "--out", str(tmp_path), *options]) == 0
    assert bool(seen) is looks_closer
