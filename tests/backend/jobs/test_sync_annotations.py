"""What people did is read from Label Studio: all of it, as little as possible, and whatever happens meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rq import Queue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from backend.images.image_store import ImageStore
from backend.jobs import sync_annotations
from backend.jobs.context import JobContext
from backend.jobs.model_cache import ModelCache
from backend.jobs.sync_annotations import catch_up
from backend.labelstudio.client import LabelStudioClient
from backend.queueing.queue import BULK, JobQueue
from backend.settings import Settings
from backend.storage.stores import Stores
from tests.backend.support.fake_people import FakeProject
from tests.backend.support.real_services import Workers, bulk_jobs, is_running, wait_for
from tests.local_http import answering

PROJECT = "7"
LONG_AGO = timedelta(minutes=1)  # longer than the overlap of two looks
PAGES_OF_TWO = """
from backend.jobs import sync_annotations
sync_annotations.PAGE = 2
"""
DIES_AFTER_TWO_PAGES = (
    PAGES_OF_TWO
    + """
import os
from backend.storage.feedback import FeedbackStore
real, kept = FeedbackStore.set_cursor, []
def dies(self, *what):
    real(self, *what)
    kept.append(what)
    if len(kept) == 2:
        os.kill(os.getpid(), 9)
FeedbackStore.set_cursor = dies
"""
)


@pytest.fixture
def label_studio() -> Iterator[FakeProject]:
    """A project 7 of six tasks, each with a prediction, that nobody has said anything about."""
    project = FakeProject(7, tasks=6)
    with answering(project.answer) as project.url:
        yield project


@pytest.fixture
def context(settings: Settings, stores: Stores, queue: JobQueue, label_studio: FakeProject) -> Iterator[JobContext]:
    with closing(LabelStudioClient(label_studio.url, label_studio.token)) as client:
        yield JobContext(
            settings, stores, queue, ImageStore.from_settings(settings, client), ModelCache(0, "cpu"), client
        )


def outcomes(stores: Stores) -> dict[int, str]:
    return {row.task: row.outcome for row in stores.feedback.rows(PROJECT)}


def waiting(queue: JobQueue) -> list[str]:
    return list(Queue(BULK, connection=queue.connection, serializer=JSONSerializer).job_ids)


def set_status(queue: JobQueue, job_id: str, status: JobStatus) -> None:
    """As a worker would."""
    Job.fetch(job_id, connection=queue.connection, serializer=JSONSerializer).set_status(status)
    Queue(BULK, connection=queue.connection, serializer=JSONSerializer).remove(job_id)


def test_a_worker_reads_what_people_did(
    queue: JobQueue, stores: Stores, label_studio: FakeProject, workers: Workers
) -> None:
    label_studio.submit(label_studio.tasks[0], "leave")
    label_studio.submit(label_studio.tasks[1], "move")
    queue.sync_annotations(PROJECT)
    workers.start("predict")
    wait_for(lambda: not bulk_jobs(queue) and stores.feedback.rows(PROJECT))
    assert outcomes(stores) == {1: "accepted", 3: "corrected"}
    label_studio.skip(label_studio.tasks[2])
    queue.sync_annotations(PROJECT)
    wait_for(lambda: len(outcomes(stores)) == 3)
    assert outcomes(stores)[5] == "skipped"


def test_only_what_has_changed_is_read_next(context: JobContext, stores: Stores, label_studio: FakeProject) -> None:
    label_studio.submit(label_studio.tasks[0], "move")
    catch_up(context, PROJECT)
    label_studio.now += LONG_AGO
    label_studio.submit(label_studio.tasks[3], "move")
    catch_up(context, PROJECT)
    label_studio.now += LONG_AGO
    label_studio.take_back(label_studio.tasks[0])
    label_studio.read.clear()
    catch_up(context, PROJECT)
    assert outcomes(stores) == {7: "corrected"}
    assert set(label_studio.read) == {1, 7}  # the newest of last time is looked at again


def test_another_labeling_config_has_all_rows_reviewed_again(
    context: JobContext, stores: Stores, label_studio: FakeProject
) -> None:
    label_studio.submit(label_studio.tasks[0], "move")
    label_studio.now += LONG_AGO
    label_studio.submit(label_studio.tasks[1], "move")
    catch_up(context, PROJECT)
    [before, *_] = stores.feedback.rows(PROJECT)
    label_studio.configure("fish")
    catch_up(context, PROJECT)
    [after, *_] = stores.feedback.rows(PROJECT)
    assert (before.labels, after.labels, after.changed) == (("crab",), (), before.changed)
    assert [each.label for each in after.objects] == [None, "fish"]


def test_tasks_that_are_gone_are_forgotten_when_a_deletion_was_heard_of(
    context: JobContext, stores: Stores, label_studio: FakeProject
) -> None:
    for task in label_studio.tasks:
        label_studio.submit(task, "leave")
    catch_up(context, PROJECT)
    for index in (5, 2):
        label_studio.delete_task(label_studio.tasks[index])
    catch_up(context, PROJECT)
    assert len(outcomes(stores)) == 6
    context.queue.sync_annotations(PROJECT, full=True)
    catch_up(context, PROJECT)
    assert list(outcomes(stores)) == [1, 3, 7, 9]


def test_everything_is_read_again_after_six_hours(
    context: JobContext, stores: Stores, label_studio: FakeProject
) -> None:
    label_studio.submit(label_studio.tasks[0], "leave")
    catch_up(context, PROJECT)
    label_studio.delete_task(label_studio.tasks[0])
    cursor = stores.feedback.cursor(PROJECT)
    assert cursor is not None and time.time() - (cursor.synced or 0) < 60
    stores.feedback.set_cursor(PROJECT, replace(cursor, full_scan=time.time() - 6 * 3600 + 60))
    catch_up(context, PROJECT)
    assert outcomes(stores) == {1: "accepted"}
    stores.feedback.set_cursor(PROJECT, replace(cursor, full_scan=time.time() - 6 * 3600 - 1))
    catch_up(context, PROJECT)
    assert outcomes(stores) == {}


def test_a_project_without_tasks_is_read_as_well(
    context: JobContext, stores: Stores, label_studio: FakeProject
) -> None:
    label_studio.tasks.clear()
    assert catch_up(context, PROJECT)
    label_studio.import_task()
    label_studio.submit(label_studio.tasks[0], "add")
    assert catch_up(context, PROJECT)
    assert list(outcomes(stores).values()) == ["corrected"]


def test_what_changes_while_tasks_are_read_is_read_next(
    context: JobContext, stores: Stores, label_studio: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_annotations, "PAGE", 2)
    label_studio.submit(label_studio.tasks[5], "leave")
    label_studio.now += LONG_AGO
    turns = iter(range(10))

    def person() -> bool:
        """Between the first pages of the first look: corrects a task that was read already, and deletes another."""
        if next(turns) == 1:
            label_studio.now += LONG_AGO
            label_studio.submit(label_studio.tasks[0], "move")
            label_studio.now += LONG_AGO
            label_studio.submit(label_studio.tasks[4], "move")
            context.queue.sync_annotations(PROJECT)
        return False

    assert catch_up(context, PROJECT, should_pause=person)
    assert outcomes(stores) == {1: "corrected", 9: "corrected", 11: "accepted"}


def test_a_look_that_paused_goes_on_where_it_was(
    context: JobContext, stores: Stores, label_studio: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_annotations, "PAGE", 2)
    for task in label_studio.tasks:
        label_studio.submit(task, "leave")
    assert not catch_up(context, PROJECT, should_pause=lambda: True)
    assert list(outcomes(stores)) == [1, 3]
    assert not catch_up(context, PROJECT, should_pause=lambda: True)
    assert catch_up(context, PROJECT)
    assert list(outcomes(stores)) == [1, 3, 5, 7, 9, 11]
    assert all(count == 1 for count in label_studio.read.values())
    cursor = stores.feedback.cursor(PROJECT)
    assert cursor is not None and cursor.scan is None


def test_it_goes_on_after_its_worker_was_killed(
    queue: JobQueue, stores: Stores, label_studio: FakeProject, workers: Workers, janitor: None
) -> None:
    for task in label_studio.tasks:
        label_studio.submit(task, "leave")
    queue.sync_annotations(PROJECT)
    first = workers.start("predict", DIES_AFTER_TWO_PAGES)
    wait_for(lambda: not is_running(first))
    assert list(outcomes(stores)) == [1, 3, 5, 7]
    workers.start("predict", PAGES_OF_TWO)
    wait_for(lambda: len(outcomes(stores)) == 6, 20)
    wait_for(lambda: not bulk_jobs(queue))
    assert all(count == 1 for count in label_studio.read.values())


def test_a_label_studio_that_is_down_is_waited_for(
    queue: JobQueue, stores: Stores, label_studio: FakeProject, workers: Workers, janitor: None
) -> None:
    label_studio.submit(label_studio.tasks[0], "leave")
    label_studio.down = True
    queue.sync_annotations(PROJECT)
    workers.start("predict")
    wait_for(lambda: "is tried again: Label Studio at" in workers.log())
    assert "Traceback" not in workers.log()
    label_studio.down = False
    wait_for(lambda: outcomes(stores) == {1: "accepted"})


def test_it_makes_room_after_each_page_for_a_person_who_waits_and_ends_all_the_same(
    queue: JobQueue, context: JobContext, stores: Stores, label_studio: FakeProject, workers: Workers
) -> None:
    for task in label_studio.tasks:
        label_studio.submit(task, "leave")
    slow = (
        PAGES_OF_TWO
        + "import time; from backend.queueing.queue import JobQueue; JobQueue.is_waited_for = lambda _: True"
    )
    queue.sync_annotations(PROJECT)
    workers.start("predict", slow)
    wait_for(lambda: len(outcomes(stores)) == 6)
    wait_for(lambda: not bulk_jobs(queue))
    assert all(count == 1 for count in label_studio.read.values())


def test_one_look_at_a_time(context: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_annotations, "job_context", lambda: context)
    seen: list[Any] = []
    real = sync_annotations.catch_up

    def inside(*what: Any) -> bool:
        seen.append(sync_annotations.sync_annotations(PROJECT) if not seen else None)
        return real(*what)

    monkeypatch.setattr(sync_annotations, "catch_up", inside)
    assert sync_annotations.sync_annotations(PROJECT) is None
    [second] = seen
    assert second.intervals == [sync_annotations.TURN_S]


def test_workers_without_a_label_studio_say_so(
    context: JobContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sync_annotations, "job_context", lambda: replace(context, client=None))
    with caplog.at_level(logging.WARNING):
        assert sync_annotations.sync_annotations(PROJECT) is None
    assert "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are needed" in caplog.text


def test_a_config_without_anything_to_fill_is_no_error(
    context: JobContext, stores: Stores, label_studio: FakeProject, caplog: pytest.LogCaptureFixture
) -> None:
    label_studio.config = '<View><Text name="text" value="$text"/></View>'
    with caplog.at_level(logging.WARNING):
        assert catch_up(context, PROJECT)
    assert (outcomes(stores), "corrections are not read" in caplog.text) == ({}, True)


def test_again_is_nothing_while_one_waits_and_one_more_while_one_runs(queue: JobQueue) -> None:
    for _ in range(3):
        queue.sync_annotations(PROJECT)
    queue.sync_annotations("8", full=True)
    assert waiting(queue) == ["observe-7", "observe-8"]
    set_status(queue, "observe-7", JobStatus.STARTED)
    for _ in range(2):
        queue.sync_annotations(PROJECT)
    assert waiting(queue) == ["observe-8", "observe-7-next"]
    set_status(queue, "observe-7", JobStatus.FINISHED)
    set_status(queue, "observe-7-next", JobStatus.STARTED)
    queue.sync_annotations(PROJECT, full=True)
    assert waiting(queue) == ["observe-8", "observe-7"]
    assert queue.requested_syncs(PROJECT) == {"changes": 5, "full": 1}
