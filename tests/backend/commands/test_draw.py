"""`boxstrap draw`: what it writes and says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.cli import main
from tests.backend.support.command_line import error_of, fail_with_no_space
from wsol_core.data.folder import find_images, read_folder


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
    folder = str(tmp_path / "drawn")
    assert facts == {"folder": folder, "images": 1, "classes": 1, "seed": 9, "touching": False, "subject": "animals"}


def test_draw_defects_has_surfaces_without_any_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draw", str(tmp_path / "drawn"), "--defects", "--classes", "2", "--images", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["subject"] == "defects"
    assert read_folder(tmp_path / "drawn").classes == ("scratch", "spot")
    assert len(find_images(tmp_path / "drawn/negatives")) == 1


def test_one_set_is_drawn_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(capsys, "draw", tmp_path / "drawn", "--small", "--defects", code=2)
    assert "one of --touching, --small and --defects" in said


@pytest.mark.slow
def test_draw_touching_writes_a_mask_for_each_of_several_animals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["draw", str(tmp_path / "drawn"), "--touching", "--classes", "3", "--images", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["touching"] is True
    samples = read_folder(tmp_path / "drawn", "train").samples
    assert len(samples) == 4
    for sample in samples:
        assert len(sample.truth) >= 2
        assert set(sample.labels) == {region.label for region in sample.truth}
        assert len({region.mask_path for region in sample.truth}) == len(sample.truth)


def test_a_full_disk_faked_by_a_failing_write_is_a_sentence_of_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Path, "write_bytes", fail_with_no_space)
    said = error_of(capsys, "draw", tmp_path / "drawn", "--images", "4")
    assert "No space left on device" in said and str(tmp_path) in said
