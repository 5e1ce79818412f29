"""The history of losses: one line a report, each step once, also after a resume."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsol_core.errors import StorageError
from wsol_core.localization.model_folder import HISTORY
from wsol_core.training.history import History, read_history


def test_lines_written_after_the_checkpoint_are_dropped_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / HISTORY
    history = History(path)
    for step in (1, 2, 3):
        history.add({"step": step})
    assert history.lines == 3
    resumed = History(path, lines=1)
    assert len(read_history(path)) == 3  # a run that only looks changes nothing
    resumed.add({"step": 2, "again": True})
    assert read_history(path) == [{"step": 1}, {"step": 2, "again": True}]
    assert resumed.lines == 2


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_text('{"step": 1}\n{"st')
    assert read_history(tmp_path / HISTORY) == [{"step": 1}]
    assert read_history(tmp_path / "missing.jsonl") == []


def test_a_history_that_cannot_be_written_says_that_the_training_can_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"missing/history\.jsonl could not be written.*then resume the training"):
        History(tmp_path / "missing" / HISTORY).add({"step": 1})


def test_lines_that_are_none_of_ours_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"7\n\xff\n[1]\n" + b"[" * 100_000 + b'\n{"step": 1}\n')
    os.truncate(path, 2**40)  # a hole
    assert read_history(path) == [{"step": 1}]
    path.unlink()
    os.mkfifo(path)
    assert read_history(path) == []
