"""examples/train_on_folder.py, with pictures of its own and on a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.examples.programs import EXAMPLES, run
from wsol_core import draw_folder

PROGRAM = EXAMPLES / "train_on_folder.py"
SHORT = ("--backbone", "tiny", "--epochs", "2")


@pytest.mark.slow
def test_it_draws_images_trains_and_draws_what_it_found(tmp_path: Path) -> None:
    said = run(PROGRAM, "--out", "trained", "--count", "6", *SHORT, cwd=tmp_path)
    assert "localize: step 1 of 1" in said
    drawn = sorted((tmp_path / "trained" / "drawn").rglob("*.jpg"))
    assert len(drawn) == 6
    for path in drawn:
        before = tmp_path / "trained" / "images" / path.relative_to(tmp_path / "trained" / "drawn")
        with Image.open(path) as after, Image.open(before) as original:
            assert after.size == original.size
            assert after.tobytes() != original.tobytes()


@pytest.mark.slow
def test_it_trains_on_a_folder_of_labelled_images(tmp_path: Path) -> None:
    draw_folder(tmp_path / "all", classes=2, images=4, seed=0)
    (tmp_path / "all" / "images").rename(tmp_path / "images")  # a sub-folder per class, and no annotations
    run(PROGRAM, "images", "--out", "trained", *SHORT, cwd=tmp_path)
    assert len(list((tmp_path / "trained" / "drawn").rglob("*.jpg"))) == 4


def test_it_stays_short() -> None:
    assert len(PROGRAM.read_text(encoding="utf-8").splitlines()) <= 80
