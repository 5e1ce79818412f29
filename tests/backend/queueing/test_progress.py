"""Progress and events: what is written is read, under the keys that earlier versions used."""

from __future__ import annotations

import json
import time

from backend.queueing.progress import PreannotationProgress
from backend.queueing.queue import JobQueue


def test_a_runs_progress_is_read_as_it_was_reported(queue: JobQueue) -> None:
    assert queue.progress.of_run("run-1") is None
    queue.progress.report_run("run-1", {"stage": "localize", "epoch": 3})
    assert queue.progress.of_run("run-1") == {"stage": "localize", "epoch": 3}


def test_pre_annotation_progress_is_read_as_it_was_reported(queue: JobQueue) -> None:
    assert queue.progress.of_preannotation("7") is None
    queue.progress.report_preannotation("7", PreannotationProgress("boxstrap-7-0001", 64, 60))
    assert queue.progress.of_preannotation("7") == PreannotationProgress("boxstrap-7-0001", 64, 60, ended=False)


def test_the_newest_event_is_kept_with_its_time(queue: JobQueue) -> None:
    assert queue.events.last("7") is None
    queue.events.record("7", "TASKS_CREATED")
    queue.events.record("7", "START_TRAINING")
    found = queue.events.last("7")
    assert found is not None and found["action"] == "START_TRAINING"
    assert 0 <= time.time() - found["at"] < 60


def test_what_two_people_draw_in_one_task_is_kept_apart(queue: JobQueue) -> None:
    assert queue.prompts.last("7", 1, "ann@example.com") == ([], 0.0)
    queue.prompts.record("7", 1, [{"id": "a"}], "ann@example.com")
    queue.prompts.record("7", 1, [{"id": "b"}], "bob@example.com")
    queue.prompts.record("7", 1, [{"id": "c"}])
    kept = [queue.prompts.last("7", 1, person)[0] for person in ("ann@example.com", "bob@example.com", "")]
    assert kept == [[{"id": "a"}], [{"id": "b"}], [{"id": "c"}]]
    assert not [key for key in queue.connection.keys("*") if b"example.com" in key]


def test_keys_of_earlier_versions_are_read(queue: JobQueue) -> None:
    bulk = {"version": "boxstrap-7-0001", "seen": 64, "done": 60, "ended": True}
    queue.connection.set("boxstrap:progress:bulk-7", json.dumps(bulk))
    queue.connection.set("boxstrap:progress:event-7", json.dumps({"action": "TASKS_CREATED", "at": 5.0}))
    assert queue.progress.of_preannotation("7") == PreannotationProgress("boxstrap-7-0001", 64, 60, ended=True)
    assert queue.events.last("7") == {"action": "TASKS_CREATED", "at": 5.0}


def test_everything_is_forgotten_after_a_day(queue: JobQueue) -> None:
    queue.progress.report_run("run-1", {})
    queue.progress.report_preannotation("7", PreannotationProgress("boxstrap-7-0001"))
    queue.events.record("7", "TASKS_CREATED")
    for name in ("run-1", "bulk-7", "event-7"):
        assert 86000 < queue.connection.ttl(f"boxstrap:progress:{name}") <= 86400
