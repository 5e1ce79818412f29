"""The ledger keeps what people said, whatever happens to the processes that write it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BackendError
from backend.settings import Settings
from backend.storage import sqlite_file
from backend.storage.feedback import FeedbackStore
from backend.storage.ledger_rows import ClassDoubt, Fate, LedgerRow, ObjectRow, Outcome
from backend.storage.stores import open_stores
from backend.storage.sync_cursor import SyncCursor
from tests.backend.support.real_services import ROOT
from wsol_core.evaluation.mistakes import MistakeKind


class Clock:
    """Says what it was set to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> FeedbackStore:
    return FeedbackStore(tmp_path / "home" / "feedback.sqlite", clock)


def row(task: int, digest: str = "a", outcome: str = "corrected", **more: Any) -> LedgerRow:
    objects = (ObjectRow("crab", Fate.EDITED, 0.5, None, 0.25, MistakeKind.MERGED),)
    known = LedgerRow(task, Outcome(outcome), ("crab",), "v1", 0.7, objects, 1.5, 1, digest=digest)
    return replace(known, **more)


def test_rows_come_back_as_they_were_with_the_time_they_were_first_seen(store: FeedbackStore) -> None:
    assert store.put("7", [row(2), row(1, outcome="open")]) == 2
    assert store.rows("7") == [row(1, outcome="open", changed=1000.0), row(2, changed=1000.0)]
    assert store.rows("8") == []


def test_a_row_is_stored_object_by_object(store: FeedbackStore) -> None:
    store.put("7", [row(1)])
    with closing(sqlite3.connect(store.path)) as db:
        [(outcome, text)] = db.execute("SELECT outcome, row FROM rows")
    one = {"label": "crab", "fate": "edited", "box_iou": 0.5, "mask_iou": None, "score": 0.25, "mistake": "merged"}
    known = {"task": 1, "outcome": "corrected", "labels": ["crab"], "version": "v1", "score": 0.7, "objects": [one]}
    more = {"lead_time_s": 1.5, "annotator": 1, "annotation": None, "digest": "a"}
    assert (outcome, json.loads(text)) == ("corrected", {**known, **more})


def test_rows_of_earlier_versions_had_a_row_a_region_and_become_objects(store: FeedbackStore) -> None:
    def region(kind: str, fate: str, iou: float | None, score: float | None, label: str = "crab") -> dict[str, Any]:
        return {"label": label, "kind": kind, "fate": fate, "iou": iou, "score": score}

    box, brush = "rectanglelabels", "brushlabels"
    regions = [
        *(region(box, "accepted", 1.0, 0.9), region(brush, "edited", 0.6, 0.9)),
        *(region(box, "added", None, None), region(box, "added", None, None), region(brush, "added", None, None)),
        *(region(box, "deleted", None, 0.4), region(brush, "deleted", None, 0.4)),
        region(box, "accepted", 1.0, 0.4, "ant"),
    ]
    text = json.dumps({"task": 1, "outcome": "corrected", "labels": ["crab"], "digest": "a", "regions": regions})
    store.put("7", [row(1)])
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("UPDATE rows SET row = ?", (text,))
        db.commit()
    [read] = store.rows("7")
    assert [(each.label, each.fate, each.box_iou, each.mask_iou, each.score) for each in read.objects] == [
        ("crab", Fate.EDITED, 1.0, 0.6, 0.9),
        ("crab", Fate.ADDED, None, None, None),
        ("crab", Fate.ADDED, None, None, None),
        ("crab", Fate.DELETED, None, None, 0.4),
        ("ant", Fate.ACCEPTED, 1.0, None, 0.4),
    ]


def test_the_time_moves_with_the_digest_only(store: FeedbackStore, clock: Clock) -> None:
    store.put("7", [row(1), row(2)])
    clock.now = 2000.0
    assert store.put("7", [row(1, labels=("fish",)), row(2, digest="b")]) == 1
    assert [(each.labels, each.changed) for each in store.rows("7")] == [(("fish",), 1000.0), (("crab",), 2000.0)]


def test_what_is_known_of_a_prediction_outlives_it(store: FeedbackStore) -> None:
    gone: dict[str, Any] = {"version": None, "score": None, "outcome": "open", "objects": ()}
    store.put("7", [row(1), row(2)])
    store.put("7", [row(1, **gone, labels=("fish",)), row(2, digest="b", **gone)])
    kept, anew = store.rows("7")
    assert (kept.version, kept.outcome, kept.labels, len(kept.objects)) == ("v1", "corrected", ("fish",), 1)
    assert (anew.version, anew.outcome, anew.objects) == (None, "open", ())


def test_corrections_are_counted_from_a_moment_on(store: FeedbackStore, clock: Clock) -> None:
    store.put("7", [row(1), row(2, outcome="accepted")])
    clock.now = 2000.0
    store.put("7", [row(3), row(4, outcome="skipped")])
    assert [store.corrected_since("7", since) for since in (0, 999.9, 1000, 2000)] == [2, 2, 1, 0]
    assert [store.changed_since("7", since) for since in (0, 1000, 2000)] == [4, 2, 0]
    assert store.corrected_since("8", 0) == 0


def test_classes_are_counted_by_pictures(store: FeedbackStore) -> None:
    store.put("7", [row(1), row(2, labels=("fish", "crab")), row(3, labels=()), row(4, labels=("crab",))])
    store.put("8", [row(1, labels=("whale",))])
    assert list(store.class_counts("7").items()) == [("crab", 3), ("fish", 1)]


def test_rows_of_tasks_that_are_gone_are_forgotten(store: FeedbackStore) -> None:
    store.put("7", [row(number) for number in range(1, 9)])
    store.put("8", [row(5)])
    store.forget("7", {3, 4, 8}, above=2, up_to=6)
    assert [each.task for each in store.rows("7")] == [1, 2, 3, 4, 7, 8]
    store.forget("7", {1})
    assert [each.task for each in store.rows("7")] == [1]
    assert len(store.rows("8")) == 1


def test_a_doubt_stays_with_its_task_whatever_comes_first(store: FeedbackStore) -> None:
    doubt = ClassDoubt(("crab",), "fish", 0.9)
    store.set_doubt("7", 1, doubt)
    store.put("7", [row(1), row(2)])
    store.put("7", [row(1, digest="b")])
    assert [each.doubt for each in store.rows("7")] == [doubt, None]
    store.set_doubt("7", 1, None)
    assert store.rows("7")[0].doubt is None


def test_a_doubt_goes_with_its_task(store: FeedbackStore) -> None:
    store.put("7", [row(1)])
    store.set_doubt("7", 1, ClassDoubt(("crab",), "fish", 0.9))
    store.forget("7", set())
    store.put("7", [row(1)])
    assert store.rows("7")[0].doubt is None


def test_the_cursor_is_one_for_each_project(store: FeedbackStore) -> None:
    assert store.cursor("7") is None
    store.set_cursor("7", SyncCursor("2026-01-01", full_scan=1.5))
    assert (store.cursor("7"), store.cursor("8")) == (SyncCursor("2026-01-01", full_scan=1.5), None)


def test_nothing_is_made_on_disk_by_looking(tmp_path: Path) -> None:
    store = open_stores(Settings(home=tmp_path / "home")).feedback
    assert (store.rows("7"), store.cursor("7"), store.class_counts("7")) == ([], None, {})
    assert store.path == tmp_path / "home" / "feedback.sqlite" and not store.path.parent.exists()


def test_a_broken_file_is_named(store: FeedbackStore) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(b"no database" * 100)
    with pytest.raises(BackendError, match=r"feedback\.sqlite cannot be used: file is not a database.*read .* again"):
        store.rows("7")


def test_many_may_write_at_the_same_time(store: FeedbackStore) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 10):
            store.put("7", [row(number)])
            store.set_cursor("7", SyncCursor(synced=number))

    threads = [threading.Thread(target=write, args=(10 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.task for each in store.rows("7")] == list(range(40))


ENDLESS = """
import sys
from pathlib import Path
from backend.storage.feedback import FeedbackStore
from backend.storage.ledger_rows import LedgerRow, Outcome

store, turn = FeedbackStore(Path(sys.argv[1])), 0
while True:
    turn += 1
    rows = [LedgerRow(n, Outcome.OPEN, (), digest=str(turn)) for n in range(300)]
    store.put("7", rows)
    print(turn, flush=True)
"""


def test_a_process_that_is_killed_leaves_all_rows_of_a_page_or_none(store: FeedbackStore) -> None:
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(store.path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)][-1] == "3\n"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        rows = store.rows("7")
        assert len(rows) == 300 and len({each.digest for each in rows}) == 1


def test_the_newest_reviewed_rows_are_those_that_changed_last(tmp_path: Path, clock: Clock) -> None:
    store = FeedbackStore(tmp_path / "ledger", clock)
    for number, outcome in enumerate((Outcome.ACCEPTED, Outcome.OPEN, Outcome.CORRECTED, Outcome.ACCEPTED), 1):
        clock.now += 1
        store.put("7", [LedgerRow(number, outcome, ("fish",), digest=str(number))])
    assert [row.task for row in store.newest_reviewed("7", 2)] == [4, 3]
    assert [row.task for row in store.newest_reviewed("7", 9)] == [4, 3, 1]
    assert store.newest_reviewed("8", 9) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "7", '"a"', '{"labels": 7, "objects": 7}', '{"labels": {}, "objects": [7]}']
)
def test_a_row_that_cannot_be_understood_is_left_out_of_every_count(store: FeedbackStore, text: str) -> None:
    store.put("7", [row(1), row(2)])
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("UPDATE rows SET row = ? WHERE task = 1", (text,))
        db.commit()
    assert store.corrected_labels("7")[2] == {"crab"}
    assert store.class_counts("7")["crab"] == 1
    assert store.fate_counts("7") == {("v1", "edited"): 1}
    assert [each.task for each in store.rows("7")] == [2]


def test_a_ledger_that_somebody_else_keeps_locked_is_said_to_be_while_a_person_waits(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("7", [row(1)])
    monkeypatch.setattr(sqlite_file, "READING_WAIT_S", 0.1)
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BackendError, match="locked"):
            store.rows("7")
    assert len(store.rows("7")) == 1
