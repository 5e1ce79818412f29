"""Each assumption about RQ's internals, on a real Redis. One that fails here says what a new version of RQ changed."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import rq
from rq import Queue, SimpleWorker, Worker
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from backend.errors import BackendError
from backend.queueing import rq_adapter, rq_workers
from backend.queueing.queue import BULK, TRAIN, JobQueue
from backend.queueing.rq_adapter import DueJobs, QueuedJob, open_queue
from backend.queueing.rq_workers import ForkingWorker, InlineWorker, PatientWorker
from tests.test_architecture import imports_of, sources

KNOWN = ("2.", "3.")
DOCUMENTED = {"rq", "rq.command", "rq.exceptions", "rq.job", "rq.results", "rq.serializers", "rq.timeouts", "rq.worker"}
seen: list[str] = []


def note(word: str) -> str:
    """A job."""
    seen.append(word)
    return word


def note_failure(job: Job, *_: object) -> None:
    """A callback for failures."""
    seen.append(f"{job.id} failed")


def fail() -> None:
    """A job that cannot succeed."""
    raise ValueError("no")


def refuse() -> None:
    """A job that fails as jobs may."""
    raise BackendError("no")


def take_too_long() -> None:
    """A job that does not end in time."""
    time.sleep(5)


HERE = note.__module__


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    seen.clear()
    yield
    seen.clear()


@pytest.fixture
def bulk(queue: JobQueue) -> Queue:
    """A queue of ours, empty."""
    return open_queue(BULK, queue.connection)


@pytest.fixture
def worker(queue: JobQueue) -> PatientWorker:
    """One that runs jobs in this process."""
    return InlineWorker.on([BULK], queue.connection)


def test_this_version_of_rq_is_known() -> None:
    assert rq.__version__.startswith(KNOWN), "read RQ's changelog, and then rq_adapter.py"


@pytest.mark.slow
def test_no_other_module_imports_what_rq_does_not_document() -> None:
    used = {
        found.module.rpartition(".")[0]
        for module in sources()
        if module not in (rq_adapter.__name__, rq_workers.__name__)
        for found in imports_of(module)
        if found.module.startswith("rq.")
    }
    assert "rq.job" in used
    assert used <= DOCUMENTED


@pytest.mark.parametrize(
    ("owner", "name", "least"),
    [
        (BaseWorker, "get_heartbeat_ttl", ["self", "job"]),
        (BaseWorker, "heartbeat", ["self", "timeout", "pipeline"]),
        (BaseWorker, "maintain_heartbeats", ["self", "job"]),
        (BaseWorker, "cleanup_execution", ["self", "job", "pipeline"]),
        (BaseWorker, "perform_job", ["self", "job", "queue"]),
        (BaseWorker, "execute_job", ["self", "job", "queue"]),
        (BaseWorker, "dequeue_job_and_maintain_ttl", ["self", "timeout", "max_idle_time"]),
        (BaseWorker, "run_maintenance_tasks", ["self"]),
        (BaseWorker, "bootstrap", ["self"]),
        (BaseWorker, "_pubsub_exception_handler", ["self", "exc", "pubsub", "pubsub_thread"]),
        (BaseWorker, "main_work_horse", ["self", "job", "queue"]),
        (BaseWorker, "handle_warm_shutdown_request", ["self"]),
        (Worker, "execute_job", ["self", "job", "queue"]),
        (SimpleWorker, "execute_job", ["self", "job", "queue"]),
        (Job, "restore", ["self", "raw_data"]),
        (Job, "_deserialize_data", ["self"]),
    ],
)
def test_what_is_overridden_exists_and_begins_with_the_same_arguments(owner: type, name: str, least: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters)[: len(least)] == least


@pytest.mark.parametrize("name", ["maintain_heartbeats", "cleanup_execution", "perform_job"])
def test_at_most_the_execution_is_handed_over_besides(name: str) -> None:
    known = {"self", "job", "queue", "pipeline", "execution"}
    assert set(inspect.signature(getattr(BaseWorker, name)).parameters) <= known


def test_a_worker_has_the_attributes_that_are_read(worker: PatientWorker) -> None:
    assert (worker._stop_requested, worker.execution, worker.horse_pid) == (False, None, 0)
    assert worker.job_class is QueuedJob
    assert BaseWorker.max_connection_wait_time > PatientWorker.max_connection_wait_time
    assert worker.key == f"rq:worker:{worker.name}"


def test_a_heartbeat_registers_a_worker_that_redis_forgot(worker: PatientWorker, queue: JobQueue) -> None:
    worker.register_birth()
    queue.connection.flushall()
    worker.heartbeat()
    assert [each.name for each in Worker.all(connection=queue.connection, serializer=JSONSerializer)] == [worker.name]
    assert 0 < queue.connection.ttl(worker.key) <= rq_workers.GONE_AFTER_S


def test_a_job_is_abandoned_soon_after_its_last_heartbeat(
    worker: PatientWorker, bulk: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores: list[float] = []

    def look(*_: object) -> None:
        [(_, score)] = bulk.connection.zrange(f"rq:wip:{BULK}", 0, -1, withscores=True)
        scores.append(score - time.time())

    monkeypatch.setattr(InlineWorker, "prepare_job_execution", look)
    bulk.enqueue(f"{HERE}.note", "x", job_timeout=3600)
    worker.work(burst=True)
    assert rq_workers.DEAD_AFTER_S - 2 < scores[0] <= rq_workers.DEAD_AFTER_S + 1


@pytest.mark.slow
def test_heartbeats_of_a_running_job_put_off_the_time_when_it_counts_as_abandoned(
    bulk: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rq_workers, "BEAT_S", 0.05)
    beats: list[float] = []
    beat = BaseWorker.maintain_heartbeats

    def counted(self: BaseWorker, job: Job, *execution: Execution) -> None:
        beat(self, job, *execution)
        [(_, score)] = bulk.connection.zrange(f"rq:wip:{BULK}", 0, -1, withscores=True)
        beats.append(score)

    monkeypatch.setattr(BaseWorker, "maintain_heartbeats", counted)
    bulk.enqueue("time.sleep", 1.2)
    InlineWorker.on([BULK], bulk.connection).work(burst=True)
    assert beats == sorted(beats)
    assert beats[-1] > beats[0]


def test_nothing_of_a_job_is_left_as_running_when_it_has_ended(worker: PatientWorker, bulk: Queue) -> None:
    jobs = [bulk.enqueue(f"{HERE}.note", "x"), bulk.enqueue(f"{HERE}.fail")]
    worker.work(burst=True)
    assert [job.get_status() for job in jobs] == [JobStatus.FINISHED, JobStatus.FAILED]
    assert worker.execution is None
    assert bulk.connection.keys("rq:execution*") == []
    assert bulk.connection.zcard(f"rq:wip:{BULK}") == 0


def test_a_job_whose_redis_went_away_leaves_no_execution_for_the_next_one(
    worker: PatientWorker, bulk: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object) -> None:
        raise rq_workers.ConnectionLostError("gone")

    job = bulk.enqueue(f"{HERE}.note", "x")
    with monkeypatch.context() as patch:
        patch.setattr(InlineWorker, "perform_job", lose)
        worker.execute_job(job, bulk)
    bulk.connection.delete(worker.key, *bulk.connection.keys("rq:execution*"), *bulk.connection.keys("rq:worker*"))
    assert worker.execution is None
    worker.execute_job(job, bulk)
    assert seen == ["x"]


def test_a_fork_begins_with_our_hook(bulk: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForkingWorker, "begin_fork", lambda self: bulk.connection.set("forked", self.pid))
    worker = ForkingWorker.on([BULK], bulk.connection)
    bulk.enqueue(f"{HERE}.note", "x")
    worker.work(burst=True)
    assert int(bulk.connection.get("forked") or 0) == worker.pid


@pytest.mark.parametrize(("job", "traces"), [(fail, 1), (refuse, 0), (take_too_long, 0)])
def test_only_what_nobody_expects_leaves_a_traceback(
    job: Callable[[], None], traces: int, worker: PatientWorker, bulk: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    failing = bulk.enqueue(f"{HERE}.{job.__name__}", job_timeout=1)
    worker.work(burst=True, logging_level="WARNING")
    assert failing.get_status() == JobStatus.FAILED
    assert caplog.text.count("Traceback") == traces
    assert traces or caplog.text.count(f"job {failing.id} failed: ") == 1


def test_an_abandoned_job_goes_back_after_its_callback(bulk: Queue) -> None:
    job = bulk.enqueue(
        f"{HERE}.note", "x", job_id="a", retry=rq.Retry(max=1), on_failure=rq.Callback(f"{HERE}.note_failure")
    )
    bulk.connection.delete(bulk.key)
    job.set_status(JobStatus.STARTED)
    bulk.connection.zadd(StartedJobRegistry(queue=bulk).key, {"a:execution": 1})
    rq_adapter.requeue_abandoned(bulk)
    assert (seen, bulk.job_ids, job.get_status()) == (["a failed"], ["a"], JobStatus.QUEUED)


def test_a_job_is_forgotten_though_an_execution_of_it_is_listed_that_is_gone(bulk: Queue) -> None:
    job = bulk.enqueue(f"{HERE}.note", "x", job_id="a")
    bulk.connection.zadd(job.execution_registry.key, {"lost": time.time() + 60})
    rq_adapter.forget(job)
    assert bulk.connection.keys("rq:*a") == []


def test_a_job_is_between_queue_and_worker_when_it_has_been_taken(bulk: Queue) -> None:
    bulk.enqueue(f"{HERE}.note", "x", job_id="a")
    found = Queue.dequeue_any([bulk], None, connection=bulk.connection, serializer=JSONSerializer)
    assert found is not None
    assert (rq_adapter.taken_jobs(bulk), bulk.job_ids) == ({"a"}, [])
    assert rq_adapter.queues_of_queued_jobs(bulk.connection) == {"a": BULK}
    rq_adapter.forget_taken(bulk, "a")
    assert rq_adapter.taken_jobs(bulk) == set()


def test_jobs_go_to_their_queue_when_their_time_has_come(bulk: Queue) -> None:
    bulk.enqueue_in(timedelta(seconds=-1), f"{HERE}.note", "x", job_id="now")
    bulk.enqueue_in(timedelta(hours=1), f"{HERE}.note", "x", job_id="later")
    due = DueJobs(bulk.connection, [TRAIN, BULK])
    due.enqueue()
    assert bulk.job_ids == ["now"]


@pytest.mark.parametrize("new", rq_adapter.MOVED.values())
def test_functions_that_moved_are_where_they_are_said_to_be(new: str) -> None:
    assert callable(rq.utils.import_attribute(new))


@pytest.mark.slow
def test_a_job_under_an_old_path_runs_with_its_callbacks(
    worker: PatientWorker, bulk: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        rq_adapter,
        "MOVED",
        {"old.note": f"{HERE}.note", "old.fail": f"{HERE}.fail", "old.failed": f"{HERE}.note_failure"},
    )
    by_rq = Queue(BULK, connection=bulk.connection, serializer=JSONSerializer)
    by_rq.enqueue("old.note", "x")
    by_rq.enqueue("old.fail", job_id="a", on_failure=rq.Callback("old.failed"))
    worker.work(burst=True)
    assert seen == ["x", "a failed"]
