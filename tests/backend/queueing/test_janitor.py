"""Jobs and runs that would stay where they are for ever, put there by hand, and what the janitor makes of them."""

from __future__ import annotations

import os
import socket
import time
from datetime import timedelta

import pytest
from rq import Queue, Retry, Worker
from rq.job import Job, JobStatus
from rq.registry import ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from backend.queueing.janitor import Janitor
from backend.queueing.messages import PreannotationChunk
from backend.queueing.queue import TRAIN, JobQueue
from backend.storage.runs import Run, RunState, RunStore
from backend.storage.stores import Stores
from tests.backend.support.real_services import Workers, wait_for
from tests.backend.support.trainings import ENDLESS, Trainings

CHUNK = PreannotationChunk("7", "v")


@pytest.fixture
def runs(stores: Stores) -> RunStore:
    return stores.runs


@pytest.fixture
def janitor(queue: JobQueue, runs: RunStore) -> Janitor:
    """A janitor that works when told to."""
    return Janitor(queue, runs)


def test_a_job_whose_time_has_come_goes_to_its_queue(queue: JobQueue, janitor: Janitor) -> None:
    queue_of_rq = Queue(TRAIN, connection=queue.connection, serializer=JSONSerializer)
    queue_of_rq.enqueue_in(timedelta(hours=1), "a.b", job_id="later")
    queue_of_rq.enqueue_in(timedelta(seconds=-1), "a.b", job_id="now")
    janitor.run_once()
    assert (queue.status("later"), queue.status("now"), queue_of_rq.job_ids) == ("scheduled", "queued", ["now"])


def test_two_janitors_do_not_work_at_the_same_time(queue: JobQueue, janitor: Janitor, runs: RunStore) -> None:
    runs.create("7", {})
    with queue.connection.lock("boxstrap:lock:janitor", timeout=10):
        janitor.run_once(thorough=True)
    assert queue.counts()[TRAIN]["queued"] == 0
    janitor.run_once(thorough=True)
    assert queue.counts()[TRAIN]["queued"] == 1


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
def test_a_run_that_redis_forgot_is_put_on_its_queue_again(
    queue: JobQueue, janitor: Janitor, runs: RunStore, state: str
) -> None:
    run = runs.create("7", {})
    runs.update(run.id, state=state)
    janitor.run_once(thorough=True)
    assert queue.status(run.id) == "queued"


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.STOPPED, JobStatus.FINISHED])
def test_a_run_whose_job_ended_without_a_word_has_failed(
    queue: JobQueue, janitor: Janitor, runs: RunStore, status: JobStatus
) -> None:
    run = runs.create("7", {})
    queue.train(run.id)
    runs.update(run.id, state=RunState.RUNNING)
    Job.fetch(run.id, connection=queue.connection, serializer=JSONSerializer).set_status(status)
    janitor.run_once(thorough=True)
    assert runs.read(run.id).state == RunState.FAILED
    assert runs.read(run.id).reason.startswith(f"Its job is {status.value}, and did not say why")


def test_files_of_ended_runs_are_removed(janitor: Janitor, runs: RunStore) -> None:
    folders = {}
    for state in (RunState.FAILED, RunState.CANCELLED, RunState.RUNNING):
        run = runs.create("7", {})
        for name in ("pictures", "model"):
            (runs.folder(run.id) / name).mkdir()
        runs.update(run.id, state=state)
        folders[state] = runs.folder(run.id)
    janitor.run_once(thorough=True)
    left = {state: {path.name for path in folder.iterdir() if path.is_dir()} for state, folder in folders.items()}
    assert left == {RunState.FAILED: {"model"}, RunState.CANCELLED: set(), RunState.RUNNING: {"pictures", "model"}}


def test_a_run_is_tidied_until_no_process_of_it_can_be_left(janitor: Janitor, runs: RunStore) -> None:
    folders = {}
    for age_s in (10, 7200):
        run = runs.create("7", {})
        runs.update(run.id, state=RunState.CANCELLED, ended=time.time() - age_s)
        folders[age_s] = runs.folder(run.id) / "model"
    for _ in range(2):
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        janitor.run_once(thorough=True)
    assert [folder.exists() for folder in folders.values()] == [False, True]


def test_a_run_that_was_tidied_is_not_read_again(
    janitor: Janitor, runs: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, waits = runs.create("7", {}), runs.create("7", {})
    runs.update(ended.id, state=RunState.FAILED, ended=1.0)
    find, seen = RunStore.find, []

    def noted(self: RunStore, run_id: str) -> Run | None:
        seen.append(run_id)
        return find(self, run_id)

    monkeypatch.setattr(RunStore, "find", noted)
    for _ in range(2):
        janitor.run_once(thorough=True)
    assert (seen.count(ended.id), seen.count(waits.id)) == (1, 2)


def test_a_run_can_be_cancelled_when_its_worker_has_just_died(
    trainings: Trainings, workers: Workers, janitor: Janitor
) -> None:
    worker = workers.start()
    run_id = trainings.start(ENDLESS)
    trainings.reaches_epoch(run_id, 1)
    workers.kill(worker)
    bury(trainings.queue)
    janitor.run_once()
    assert trainings.now(run_id).reason == "Its worker died; another one goes on from the last checkpoint."
    assert trainings.service.cancel(run_id).state == RunState.CANCELLED
    assert trainings.queue.status(run_id) is None


def bury(queue: JobQueue) -> None:
    """As if the time had passed after which a worker counts as dead."""
    for execution in queue.connection.zrange(f"rq:wip:{TRAIN}", 0, -1):
        queue.connection.zadd(f"rq:wip:{TRAIN}", {execution: time.time() - 1})
        queue.connection.delete(f"rq:execution:{execution.decode()}")


def test_the_thread_goes_on_after_errors(queue: JobQueue, runs: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = []

    def fails(self: Janitor, *_: object, **__: object) -> None:
        rounds.append(self)
        raise RuntimeError("unexpected")

    monkeypatch.setattr(Janitor, "run_once", fails)
    monkeypatch.setattr("backend.queueing.janitor.EVERY_S", 0.01)
    with Janitor(queue, runs):
        wait_for(lambda: len(rounds) > 2, 5)


BROKEN_JOBS = {
    "without data": {"origin": TRAIN, "status": "queued"},
    "whose data is noise": {"data": b"\x00\xff" * 20, "origin": TRAIN, "status": "started"},
    "of an unknown status": {"data": '["a.b", null, [], {}]', "origin": TRAIN, "status": "dreaming"},
    "of no date": {"data": '["a.b", null, [], {}]', "origin": TRAIN, "status": "queued", "created_at": "soon"},
    "that is no list": {"data": '{"function": "a.b"}', "origin": TRAIN, "status": "started"},
}


@pytest.mark.parametrize("what", BROKEN_JOBS)
def test_a_job_that_cannot_be_understood_is_put_aside_and_holds_up_no_other(
    queue: JobQueue, janitor: Janitor, runs: RunStore, what: str
) -> None:
    connection, waits = queue.connection, Queue(TRAIN, connection=queue.connection, serializer=JSONSerializer)
    abandoned = waits.enqueue("a.b", job_id="good", retry=Retry(max=1))
    connection.lrem(waits.key, 0, "good")
    abandoned.set_status(JobStatus.STARTED)
    connection.hset("rq:job:bad", mapping=BROKEN_JOBS[what])
    connection.zadd(StartedJobRegistry(queue=waits).key, {"bad:x": 1, "good:x": 2})
    connection.zadd(ScheduledJobRegistry(queue=waits).key, {"bad": 1})
    connection.rpush(waits.key, "bad")
    run = runs.create("7", {})
    janitor.run_once(thorough=True)
    assert (queue.status("good"), queue.status("bad"), queue.status(run.id)) == ("queued", None, "queued")
    assert connection.hgetall("boxstrap:aside:bad")
    assert connection.ttl("boxstrap:aside:bad") > 86400


def test_a_step_that_fails_keeps_no_other_from_being_done(queue: JobQueue, janitor: Janitor, runs: RunStore) -> None:
    queue.connection.set("rq:wip:boxstrap-train", "no sorted set")
    run = runs.create("7", {})
    janitor.run_once(thorough=True)
    assert queue.status(run.id) == "queued"


def test_a_dead_process_is_said_to_be_dead_and_its_job_is_back_at_the_next_round(
    queue: JobQueue, janitor: Janitor
) -> None:
    waits = Queue(TRAIN, connection=queue.connection, serializer=JSONSerializer)
    job = waits.enqueue("a.b", job_id="good", retry=Retry(max=1))
    queue.connection.lrem(waits.key, 0, "good")
    job.set_status(JobStatus.STARTED)
    worker = Worker([waits], connection=queue.connection, serializer=JSONSerializer)
    worker.register_birth()
    queue.connection.hset("rq:job:good", "worker_name", worker.name)
    queue.connection.zadd(StartedJobRegistry(queue=waits).key, {"good:x": time.time() + 60})
    janitor.run_once()
    assert queue.status("good") == "started"
    queue.declare_dead(socket.gethostname(), os.getpid())
    janitor.run_once()
    assert (queue.status("good"), queue.workers()) == ("queued", [])
