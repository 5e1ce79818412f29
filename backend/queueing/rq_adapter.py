"""What Boxstrap takes from RQ beyond its documented API; its workers are in rq_workers.py, and nothing of it elsewhere.

Written for RQ 2.12 and RQ 3.0. tests/backend/queueing/test_rq_adapter.py has a test for each assumption made in both
files; it is the first to fail on a version that breaks one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import redis
from redis.exceptions import ConnectionError as ConnectionLostError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as TooSlowError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.utils import as_text

from backend.queueing.living_workers import living_workers
from backend.queueing.moved_functions import MOVED

logger = logging.getLogger(__name__)

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
