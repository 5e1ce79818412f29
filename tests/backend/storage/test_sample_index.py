"""The index keeps what pictures teach, with their masks, for one project."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.storage import sqlite_file
from backend.storage.sample_index import IndexCursor, IndexedPicture, IndexedRegion, IndexedTask, SampleIndex
from wsol_core.errors import StorageError

REGION = IndexedRegion("fish", (1.0, 2.0, 30.0, 40.0), (100, 80), has_mask=True)
PICTURE = IndexedPicture(3, 0, "/data/upload/7/a.jpg", ("fish",), "train", (REGION,))


def test_what_is_put_comes_back_and_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    index = SampleIndex(tmp_path, "7")
    assert (index.cursor(), index.count(), index.last(), list(index.pages())) == (None, 0, 0, [])
    index.put([IndexedTask(3, "then", [PICTURE], {(0, 0): b"png"}), IndexedTask(5, "then", [], {})])
    assert list(index.pages()) == [[PICTURE]] and index.masks(3, 0) == {0: b"png"}
    assert (index.count(), index.count(3, 5), index.last(), index.teaching()) == (2, 1, 5, 1)
    index.set_sizes({(3, 0): (200, 160)})
    assert list(index.pages()) == [[replace(PICTURE, size_wh=(200, 160))]]
    bare = replace(PICTURE, regions=())
    index.put([IndexedTask(3, "now", [bare], {})])
    assert list(index.pages()) == [[bare]] and index.masks(3, 0) == {} and index.changed(1, 9)[3] == "now"
    index.set_cursor(IndexCursor("now", "rules", None))
    index.forget([3])
    assert index.cursor() == IndexCursor("now", "rules", None) and index.count() == 1
    assert SampleIndex(tmp_path, "8").count() == 0


def test_a_full_disk_is_waited_for_and_leaves_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = SampleIndex(tmp_path, "7")
    index.put([IndexedTask(3, "then", [PICTURE], {})])
    connect = sqlite3.connect

    def small(*arguments: Any, **more: Any) -> sqlite3.Connection:
        db = connect(*arguments, **more)
        db.execute("PRAGMA max_page_count = 8")  # SQLite then says what it says on a full disk
        return db

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(StorageError, match="is full") as caught:
        index.put([IndexedTask(4, "now", [], {(0, 0): bytes(10**6)})])
    monkeypatch.undo()
    assert caught.value.is_full and list(index.pages()) == [[PICTURE]]


def test_an_index_that_another_process_keeps_is_waited_for_and_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = SampleIndex(tmp_path, "7")
    index.put([IndexedTask(3, "then", [PICTURE], {})])
    monkeypatch.setattr(sqlite_file, "READING_WAIT_S", 0.1)
    with closing(sqlite3.connect(tmp_path / "7.sqlite")) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="in use by another process"):
            index.cursor()
    assert index.count() == 1


def test_what_is_no_index_makes_room_for_one(tmp_path: Path) -> None:
    index = SampleIndex(tmp_path, "7")
    (tmp_path / "7.sqlite").mkdir()
    (tmp_path / "7.sqlite" / "somebody's").touch()
    assert index.cursor() is None
    index.put([IndexedTask(3, "then", [PICTURE], {})])
    assert index.count() == 1 and len(list(tmp_path.glob(".aside-*/somebody's"))) == 1
    (tmp_path / "7.sqlite").write_text("no database")
    assert index.cursor() is None and not (tmp_path / "7.sqlite").exists()
