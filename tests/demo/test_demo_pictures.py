"""The pictures that the demo draws: some with several objects, and all of them or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo import __main__ as demo
from wsol_core.data.folder import read_folder


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "IMAGES", 24)


@pytest.mark.slow
def test_each_picture_has_one_class_so_that_minutes_are_enough_to_learn_them(few: None, tmp_path: Path) -> None:
    samples = read_folder(demo._drawn(tmp_path / "pictures")).samples
    assert len(samples) == 24
    assert len({sample.labels for sample in samples}) == 4
    assert all(sample.truth and len(sample.labels) == 1 for sample in samples)


@pytest.mark.slow
def test_what_an_interrupted_demo_drew_is_drawn_again(few: None, tmp_path: Path) -> None:
    (tmp_path / "pictures.unfinished").mkdir()
    (tmp_path / "pictures.unfinished" / "left.txt").touch()
    folder = demo._drawn(tmp_path / "pictures")
    assert not (folder / "left.txt").exists()
    assert not (tmp_path / "pictures.unfinished").exists()
    assert demo._drawn(folder) == folder
