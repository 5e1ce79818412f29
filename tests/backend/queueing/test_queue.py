"""What is put on the queues, how often, and what callers get when nobody works on them. On a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from backend.errors import BusyError, QueueError
from backend.jobs.context import job_context
from backend.processes.worker import make_worker
from backend.queueing.connection import connect
from backend.queueing.messages import PreannotationChunk, PredictionRequest
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.settings import Settings
from backend.storage.stores import Stores
from backend.storage.version_facts import VersionFacts
from tests.backend.support.fake_project import CONFIG, PROJECT, FakeLabelStudio
from tests.backend.support.real_services import bulk_jobs, wait_for

NOTHING = {"queued": 0, "started": 0, "scheduled": 0, "failed": 0}
CHUNK = PreannotationChunk(PROJECT, "v")


def call_for(tasks: list[dict[str, Any]], version: str) -> PredictionRequest:
    return PredictionRequest(PROJECT, version, CONFIG, tasks)


@pytest.fixture
def version(stores: Stores, model: Path) -> str:
    return stores.models.publish(PROJECT, model, VersionFacts(run="a"))


@pytest.fixture
def burst(settings: Settings, queue: JobQueue) -> Iterator[Callable[[], None]]:
    """Does what is on the queues of the predict worker, in this process."""
    job_context.cache_clear()

    def work() -> None:
        make_worker((PREDICT, BULK), settings).work(burst=True)

    yield work
    job_context.cache_clear()


def test_a_run_is_put_on_the_queue_once(queue: JobQueue) -> None:
    for _ in range(3):
        queue.train("run-1")
    assert queue.counts() == {TRAIN: {**NOTHING, "queued": 1}, PREDICT: NOTHING, BULK: NOTHING}
    assert (queue.status("run-1"), queue.status("run-2")) == ("queued", None)


def test_a_preannotation_begins_with_the_first_chunk(queue: JobQueue) -> None:
    queue.begin_preannotation(PROJECT, "v")
    queue.preannotate(CHUNK)
    (job_id,) = Queue(BULK, connection=queue.connection, serializer=JSONSerializer).job_ids
    assert Job.fetch(job_id, connection=queue.connection, serializer=JSONSerializer).args == [CHUNK.to_dict()]


def test_a_chunk_is_put_on_the_queue_once_while_it_waits(queue: JobQueue) -> None:
    queue.preannotate(CHUNK)
    queue.preannotate(replace(CHUNK, seen=5))
    queue.preannotate(replace(CHUNK, after_id=64))
    assert [job.description for job in bulk_jobs(queue)] == [
        "pre-annotate project 7 after task 0",
        "pre-annotate project 7 after task 64",
    ]


@pytest.mark.slow
def test_a_chunk_that_has_ended_can_be_asked_for_again(queue: JobQueue, burst: Callable[[], None]) -> None:
    queue.preannotate(CHUNK)  # of a version that is not live, so it ends at once
    burst()
    assert bulk_jobs(queue) == []
    queue.preannotate(CHUNK)
    assert len(bulk_jobs(queue)) == 1


def test_a_run_that_waits_can_be_cancelled(queue: JobQueue) -> None:
    queue.train("run-1")
    queue.cancel("run-1")
    queue.cancel("run-1")
    assert (queue.status("run-1"), queue.counts()[TRAIN]) == (None, NOTHING)


@pytest.mark.slow
def test_predictions_come_from_a_worker_in_the_order_of_the_tasks(
    queue: JobQueue, version: str, burst: Callable[[], None], label_studio: FakeLabelStudio
) -> None:
    missing = {"id": 99, "data": {"image": f"/data/upload/{PROJECT}/missing.jpg"}, "annotations": []}
    call = call_for([label_studio.task(1), missing, label_studio.task(2)], version)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(queue.predict, call, 30)
        wait_for(lambda: queue.counts()[PREDICT]["queued"])
        burst()
        found = answer.result(10)
    assert [prediction["model_version"] for prediction in found] == [version] * 3
    assert [bool(prediction["result"]) for prediction in found] == [True, False, True]


@pytest.mark.slow
def test_a_prediction_that_fails_gives_its_reason(queue: JobQueue, version: str, burst: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(queue.predict, call_for([], "boxstrap-7-0009"), 30)
        wait_for(lambda: queue.counts()[PREDICT]["queued"])
        burst()
        expected = f"The prediction failed: Project 7 has no version 'boxstrap-7-0009'; it has: {version}."
        with pytest.raises(BusyError) as caught:
            answer.result(10)
    assert str(caught.value) == expected


@pytest.mark.slow
def test_without_a_worker_the_caller_is_told_in_time_and_nothing_is_begun_later(
    queue: JobQueue, version: str, burst: Callable[[], None], label_studio: FakeLabelStudio
) -> None:
    began_s = time.monotonic()
    with pytest.raises(BusyError, match=r"No prediction within 1 s. 0 workers .* start `boxstrap worker predict`"):
        queue.predict(call_for([label_studio.task(1)], version), 1)
    assert time.monotonic() - began_s < 4
    assert queue.counts()[PREDICT] == NOTHING
    burst()
    assert not label_studio.asked


@pytest.mark.slow
def test_a_busy_worker_is_named_as_busy(queue: JobQueue, settings: Settings) -> None:
    worker = make_worker((PREDICT, BULK), settings)
    worker.register_birth()
    with pytest.raises(BusyError, match="1 workers for it are running: they are busy"):
        queue.predict(call_for([], "v"), 0.5)
    worker.register_death()


def test_inside_of_a_lock_there_is_only_one(queue: JobQueue) -> None:
    inside, most = [], []

    def enter() -> None:
        with queue.lock("x"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5


def test_who_waits_too_long_for_a_lock_is_told(queue: JobQueue) -> None:
    held = queue.connection.lock("boxstrap:lock:x", timeout=10)
    with held, pytest.raises(BusyError, match="ask again"), queue.lock("x", seconds=0.2):
        pass


def test_who_does_not_wait_for_a_lock_goes_on_without_it(queue: JobQueue) -> None:
    with queue.lock("x", blocking=False) as first, queue.lock("x", blocking=False) as second:
        assert (first, second) == (True, False)
    with queue.lock("x", blocking=False) as third:
        assert third


def test_a_lock_that_was_held_too_long_is_told(queue: JobQueue) -> None:
    with pytest.raises(BusyError, match="ask again"), queue.lock("x", seconds=0.05):
        time.sleep(0.1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda queue: queue.ping(),
        lambda queue: queue.train("run-1"),
        lambda queue: queue.predict(call_for([], "v"), 1),
        lambda queue: queue.preannotate(CHUNK),
        lambda queue: queue.authorize_webhook(PROJECT, "http://us"),
        lambda queue: queue.status("run-1"),
        lambda queue: queue.cancel("run-1"),
        lambda queue: queue.progress.report_run("run-1", {}),
        lambda queue: queue.progress.of_run("run-1"),
        lambda queue: queue.events.last(PROJECT),
        lambda queue: queue.requeue_abandoned(),
        lambda queue: queue.requeue_orphans(),
        lambda queue: queue.workers(),
        lambda queue: queue.counts(),
        lambda queue: queue.lock("x").__enter__(),
    ],
)
def test_a_redis_that_is_away_is_named(tmp_path: Path, ask: Callable[[JobQueue], object]) -> None:
    queue = JobQueue(connect(Settings(redis_url=f"unix://{tmp_path}/nobody")))
    began_s = time.monotonic()
    with pytest.raises(QueueError, match=r"Redis does not answer .* start `boxstrap up`, or set REDIS_URL"):
        ask(queue)
    assert time.monotonic() - began_s < 3


def test_a_redis_that_refuses_is_named(queue: JobQueue) -> None:
    queue.connection.set("boxstrap:progress:run-1", "x")
    queue.connection.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueError, match=r"Redis takes no writes \(.*memory"):
            queue.train("run-1")
    finally:
        queue.connection.config_set("maxmemory", "0")


def test_a_webhook_is_signed_once_a_minute_at_most(queue: JobQueue) -> None:
    for _ in range(3):
        queue.authorize_webhook(PROJECT, "http://us:9090")
    queue.authorize_webhook("8", "http://us:9090")
    assert queue.counts()[PREDICT]["queued"] == 2
