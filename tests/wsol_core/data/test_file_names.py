"""Folders as people have them: linked, with names that are not UTF-8, and with splits in the place of classes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wsol_core.data.folder import find_images, read_folder
from wsol_core.errors import DataError


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_a_class_folder_that_is_a_link_counts(tmp_path: Path) -> None:
    put(tmp_path / "data" / "a" / "1.jpg")
    put(tmp_path / "elsewhere" / "deep" / "2.jpg")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    data = read_folder(tmp_path / "data")
    assert [sample.file for sample in data.samples] == ["a/1.jpg", "b/deep/2.jpg"] and data.classes == ("a", "b")


def test_a_link_to_the_folder_above_leads_nowhere(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert find_images(tmp_path) == (tmp_path / "a" / "1.jpg",)


def test_names_that_are_not_utf_8_can_be_shown_and_written(tmp_path: Path) -> None:
    try:
        put(tmp_path / os.fsdecode(b"K\xe4fer/gr\xfcn.jpg"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (sample,) = read_folder(tmp_path).samples
    assert (sample.file, sample.labels) == ("Käfer/grün.jpg", ("Käfer",)) and sample.path.is_file()
    assert json.dumps([sample.file, sample.labels], ensure_ascii=False).encode()


def test_splits_in_the_place_of_classes_are_named(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            put(tmp_path / split / name / "1.jpg")
    (warning,) = read_folder(tmp_path).skipped
    assert "train, val" in warning and "cat, dog" in warning and str(tmp_path / "train") in warning


def test_a_class_may_be_called_like_a_split(tmp_path: Path) -> None:
    put(tmp_path / "train" / "1.jpg")
    put(tmp_path / "ship" / "1.jpg")
    assert read_folder(tmp_path).skipped == ()


def test_what_systems_put_there_is_not_seen(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.jpg")
    for name in ("__MACOSX/a/._1.jpg", "@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg", "a/@eaDir/2.jpg", "a/Thumbs.db"):
        put(tmp_path / name)
    data = read_folder(tmp_path)
    assert [sample.file for sample in data.samples] == ["a/1.jpg"] and data.skipped == ()


def test_classes_that_look_like_one_are_named(tmp_path: Path) -> None:
    for name in ("Cat/1.jpg", "cat /2.jpg", "dog/3.jpg", "B\u00e4r/4.jpg", "Ba\u0308r/5.jpg"):
        put(tmp_path / name)
    skipped = read_folder(tmp_path).skipped
    assert len(skipped) == 2 and any("'Cat', 'cat '" in each for each in skipped)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a" / "1.jpg")

    def refuse(folder: Path) -> None:  # root, as whom tests may run, may read everything
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match="cannot be read \\(Permission denied\\); let this user read it"):
        find_images(tmp_path)
