"""Everything that Boxstrap takes from RQ beyond its documented API. No other module imports RQ's internals.

Written for RQ 2.12 and RQ 3.0. tests/backend/queueing/test_rq_adapter.py has a test for each assumption made here; it
is the first to fail on a version that breaks one. RQ 3 hands the execution of a job to perform_job,
maintain_heartbeats and cleanup_execution, where RQ 2 keeps it in the worker: `*execution` below.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as ConnectionLostError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as TooSlowError
from rq import Queue, SimpleWorker, Worker, worker_registration
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.utils import as_text

from backend.queueing.expected_failures import TerseWorker
from backend.queueing.living_workers import living_workers
from backend.queueing.moved_functions import MOVED

logger = logging.getLogger(__name__)

BEAT_S = 1
DEAD_AFTER_S = 6  # without a heartbeat; on a machine that has nothing left to give, some come late
IDLE_TTL_S = 20  # RQ waits 15 s less for a job before it says that it is alive
GONE_AFTER_S = 15  # without a heartbeat, and no more counted as a worker
REGISTERED_EVERY_S = 4.0
REDIS_CHECKED_EVERY_S = 1.0
ASIDE_S = 7 * 86400  # that a job which cannot be understood is kept for somebody to look at


class QueuedJob(Job):
    """A job as workers and janitors load it: its functions are found where they are now.

    One that cannot be understood is put aside, and counts as missing: RQ would try to read it again and again, and
    would get to no other.
    """

    def refresh(self) -> None:
        """Read the job from Redis. Raises: NoSuchJobError where there is none that can be understood."""
        try:
            super().refresh()  # type: ignore[no-untyped-call]
            _ = self.func_name, self.args, self.kwargs
        except (ConnectionLostError, TooSlowError):
            raise
        except Exception as error:  # its text is quoted nowhere: it may hold addresses that are signed
            if not self.connection.exists(self.key):
                raise
            _put_aside(self)
            logger.warning("job %.80r cannot be understood (%s); it is put aside", self.id, type(error).__name__)
            raise NoSuchJobError(f"{self.key} is put aside") from error

    def restore(self, raw_data: Any) -> None:
        """Read the job from its Redis hash."""
        super().restore(raw_data)
        self._success_callback_name = _moved(self._success_callback_name)
        self._failure_callback_name = _moved(self._failure_callback_name)

    def _deserialize_data(self) -> None:
        super()._deserialize_data()  # type: ignore[no-untyped-call]
        self._func_name = _moved(self._func_name)


def open_queue(name: str, connection: redis.Redis) -> Queue:
    """The queue of that name, whose jobs are JSON."""
    return Queue(name, connection=connection, serializer=JSONSerializer, job_class=QueuedJob)


def forget(job: Job) -> None:
    """Remove a job from Redis, also soon after its worker's death."""
    # RQ's delete() fails for a minute after that, when an execution is listed that is gone.
    job.connection.delete(job.execution_registry.key)
    job.delete()


def requeue_abandoned(queue: Queue) -> None:
    """Put jobs whose heartbeat is late back on their queue, after their callback for failures; from any thread."""
    StartedJobRegistry(queue=queue, job_class=QueuedJob, death_penalty_class=_NoTimeLimit).cleanup()


def declare_dead(connection: redis.Redis, queues: Iterable[Queue], hostname: str, pid: int) -> None:
    """Let the heartbeats of a dead process's job count as late at once, and forget its worker."""
    for worker in living_workers(connection):
        if (worker.hostname, worker.pid) != (hostname, pid):
            continue
        for registry in (StartedJobRegistry(queue=queue) for queue in queues):
            entries: list[bytes] = connection.zrange(registry.key, 0, -1)  # type: ignore[assignment]
            for entry in entries:
                job_id = as_text(entry).partition(":")[0]
                if connection.hget(Job.key_for(job_id), "worker_name") == worker.name.encode():
                    connection.zadd(registry.key, {entry: 1}, xx=True)
        worker.register_death()  # type: ignore[no-untyped-call]


def taken_jobs(queue: Queue) -> set[str]:
    """Ids of jobs that a worker has taken from the queue and not begun yet."""
    return {as_text(job_id) for job_id in queue.connection.lrange(queue.intermediate_queue_key, 0, -1)}


def forget_taken(queue: Queue, job_id: str) -> None:
    """Say that a job is not between the queue and a worker any more."""
    queue.connection.lrem(queue.intermediate_queue_key, 0, job_id)


def queues_of_queued_jobs(connection: redis.Redis) -> dict[str, str]:
    """Job id -> name of its queue, of all jobs whose status is "queued", whether they are on that queue or not."""
    prefix = Job.redis_job_namespace_prefix
    keys = [as_text(key) for key in connection.scan_iter(f"{prefix}*", count=1000, _type="hash")]
    with connection.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hmget(key, "status", "origin")
        found = pipeline.execute()
    return {
        key.removeprefix(prefix): as_text(origin)
        for key, (status, origin) in zip(keys, found, strict=True)
        if origin is not None and status == JobStatus.QUEUED.value.encode()
    }


class DueJobs:
    """Puts jobs whose time has come on their queues, without RQ's lock, which a killed scheduler holds for a minute."""

    def __init__(self, connection: redis.Redis, queues: Sequence[str]) -> None:
        self._connection = connection
        self._queues = [open_queue(name, connection) for name in queues]

    def enqueue(self) -> None:
        """Look at all queues once."""
        for queue in self._queues:
            registry = ScheduledJobRegistry(queue=queue)  # type: ignore[no-untyped-call]
            for job_id in registry.get_jobs_to_schedule():
                with self._connection.pipeline() as pipeline:
                    try:
                        job = QueuedJob.fetch(job_id, connection=self._connection, serializer=JSONSerializer)
                        queue._enqueue_job(job, pipeline=pipeline)
                    except NoSuchJobError:
                        pass  # removed, or put aside
                    pipeline.zrem(registry.key, job_id)
                    pipeline.execute()


class PatientWorker(TerseWorker):
    """A worker whose death is noticed within seconds, and that waits for a Redis that is away.

    RQ's own ends without Redis, and is missed within minutes.
    """

    max_connection_wait_time = 2.0
    _registered_s = 0.0

    @classmethod
    def on(cls, queues: Sequence[str], connection: redis.Redis) -> PatientWorker:
        """A worker for jobs of `open_queue`."""
        return cls(
            list(queues),
            connection=connection,
            serializer=JSONSerializer,
            job_class=QueuedJob,
            job_monitoring_interval=BEAT_S,
            worker_ttl=IDLE_TTL_S,
        )

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Seconds after which the job counts as abandoned."""
        return DEAD_AFTER_S

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that the worker lives, also to a Redis that has forgotten it."""
        super().heartbeat(GONE_AFTER_S, pipeline)
        if pipeline is not None:
            worker_registration.register(self, pipeline)
        elif time.monotonic() - self._registered_s > REGISTERED_EVERY_S:  # not before every job: that takes time
            worker_registration.register(self)
            self.connection.hset(self.key, mapping=self.serialize())
            self._registered_s = time.monotonic()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job; where Redis went away meanwhile, the janitor gives the job to a worker again."""
        try:
            super().execute_job(job, queue)
        except ConnectionLostError as error:
            logger.warning("job %s: Redis went away: %s", job.id, error)
            self.execution = None  # RQ 3 would take it for the next job's
            self._wait_for_redis()

    def _wait_for_redis(self) -> None:
        while not self._stop_requested:
            try:
                self.connection.ping()
                return
            except RedisError:
                time.sleep(REDIS_CHECKED_EVERY_S)


class ForkingWorker(PatientWorker, Worker):
    """Forks for every job."""

    def begin_fork(self) -> None:
        """Called in each fork before its job; does nothing here."""

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """What runs in the fork."""
        self.begin_fork()
        super().main_work_horse(job, queue)

    def maintain_heartbeats(self, job: Job, *execution: Any) -> None:
        """Say that the job is worked on; it goes on while Redis is away."""
        try:
            super().maintain_heartbeats(job, *execution)
        except RedisError as error:
            logger.warning("heartbeat of job %s: %s", job.id, type(error).__name__)

    def set_current_job_working_time(self, current_job_working_time: float, pipeline: Pipeline | None = None) -> None:
        """Keep RQ 2 from writing to a Redis that may be away, before each heartbeat; RQ 3 does not call this."""
        self.current_job_working_time = current_job_working_time

    def handle_warm_shutdown_request(self) -> None:
        """Tell the job too: a training saves a checkpoint and goes back to the queue, instead of taking hours more."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)


class InlineWorker(PatientWorker, SimpleWorker):
    """Runs jobs itself, with a thread that keeps telling Redis that it is alive."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._beat_lock = threading.Lock()
        self._beats = False

    def perform_job(self, job: Job, queue: Queue, *execution: Any) -> bool:
        """Run a job, with heartbeats."""
        with self._beating(job, *execution):
            return bool(super().perform_job(job, queue, *execution))

    def cleanup_execution(self, job: Job, pipeline: Pipeline, *execution: Any, **named: Any) -> None:
        """End the execution that the heartbeats are for; one more would put it back into Redis."""
        with self._beat_lock:
            self._beats = False
            super().cleanup_execution(job, pipeline, *execution, **named)

    @contextmanager
    def _beating(self, job: Job, *execution: Any) -> Iterator[None]:
        done = threading.Event()
        self._beats = True

        def beat() -> None:
            while not done.wait(BEAT_S):
                try:
                    with self._beat_lock:
                        if self._beats:
                            self.maintain_heartbeats(job, *execution)
                except RedisError as error:
                    logger.warning("heartbeat of job %s: %s", job.id, type(error).__name__)

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


class _NoTimeLimit(BaseDeathPenalty):
    """For callbacks in a janitor's thread, where RQ's signals cannot be set: no dead job would be recovered."""

    def setup_death_penalty(self) -> None:
        pass

    def cancel_death_penalty(self) -> None:
        pass


def _put_aside(job: Job) -> None:
    aside = f"boxstrap:aside:{job.id}"
    with suppress(ResponseError):  # another process was faster
        job.connection.rename(job.key, aside)
        job.connection.expire(aside, ASIDE_S)


def _moved(name: Any) -> Any:
    """Where the function is now; RQ's marks for "not read yet" and "none" stay as they are."""
    return MOVED.get(name, name) if isinstance(name, str) else name
