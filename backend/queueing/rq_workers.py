"""Boxstrap's workers: RQ's, by its inner parts, patient with a Redis that is away or full.

RQ 3 hands the execution of a job to perform_job, maintain_heartbeats and cleanup_execution, where RQ 2 keeps it in the
worker: `*execution` below. See rq_adapter.py for the versions, and for the tests of what is assumed here.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

import redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as ConnectionLostError
from redis.exceptions import RedisError, ResponseError
from rq import Queue, SimpleWorker, Worker, worker_registration
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from backend.errors import QueueError
from backend.queueing.connection import reason_of, require_writes, takes_no_writes
from backend.queueing.expected_failures import TerseWorker
from backend.queueing.rq_adapter import QueuedJob
from backend.threads import meanwhile

logger = logging.getLogger(__name__)

BEAT_S = 1
DEAD_AFTER_S = 6  # without a heartbeat; on a machine that has nothing left to give, some come late
IDLE_TTL_S = 20  # RQ waits 15 s less for a job before it says that it is alive
GONE_AFTER_S = 15  # without a heartbeat, and no more counted as a worker
REGISTERED_EVERY_S = 4.0
REDIS_CHECKED_EVERY_S = 1.0

Done = TypeVar("Done")


class PatientWorker(TerseWorker):
    """A worker whose death is noticed within seconds, and that waits for a Redis that is away, or takes no writes.

    RQ's own ends without Redis, and is missed within minutes.
    """

    max_connection_wait_time = 2.0
    _registered_s = 0.0
    _misses_heartbeats = False

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

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Begin, as soon as Redis takes writes."""
        self._wait_for_redis()
        super().bootstrap(*args, **kwargs)

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that the worker lives, also to a Redis that has forgotten it."""
        if pipeline is not None:
            super().heartbeat(GONE_AFTER_S, pipeline)
            worker_registration.register(self, pipeline)
        else:
            self._patiently(self._say_that_it_lives)

    def _say_that_it_lives(self) -> None:
        super().heartbeat(GONE_AFTER_S)
        if time.monotonic() - self._registered_s > REGISTERED_EVERY_S:  # not before every job: that takes time
            worker_registration.register(self)
            self.connection.hset(self.key, mapping=self.serialize())
            self._registered_s = time.monotonic()

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Return the next job, also where Redis takes no writes for a while."""
        return self._patiently(partial(super().dequeue_job_and_maintain_ttl, timeout, max_idle_time))

    def run_maintenance_tasks(self) -> None:
        """Clean up, also where Redis takes no writes for a while."""
        self._patiently(super().run_maintenance_tasks)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job; where Redis went away meanwhile, the janitor gives the job to a worker again."""
        try:
            super().execute_job(job, queue)
        except RedisError as error:
            if not isinstance(error, ConnectionLostError) and not takes_no_writes(error):
                raise
            logger.warning("job %s: Redis went away: %s", job.id, reason_of(error))
            self.execution = None  # RQ 3 would take it for the next job's
            self._wait_for_redis()

    def _pubsub_exception_handler(self, error: Exception, pubsub: Any, thread: Any) -> None:
        """Go on listening for commands, whatever Redis answers for a while."""
        if not isinstance(error, RedisError):
            raise error
        time.sleep(REDIS_CHECKED_EVERY_S)

    def _patiently(self, do: Callable[[], Done]) -> Done:
        """Return what `do` returns once Redis takes writes. Raises: StopRequested if the worker is told to end."""
        while True:
            try:
                return do()
            except ResponseError as error:
                if not takes_no_writes(error):
                    raise
                time.sleep(REDIS_CHECKED_EVERY_S)
                self._wait_for_redis()
                if self._stop_requested:
                    raise StopRequested from error

    def _wait_for_redis(self) -> None:
        """Return as soon as Redis takes writes, or the worker is told to end; says why it waits, once."""
        is_said = False
        while not self._stop_requested:
            try:
                require_writes(self.connection)
                break
            except QueueError as error:
                if not is_said:
                    logger.warning("worker %s waits for Redis: %s", self.name, error)
                is_said = True
            time.sleep(REDIS_CHECKED_EVERY_S)
        if is_said:
            logger.info("worker %s goes on", self.name)

    def _heartbeat_missed(self, job: Job, error: RedisError | None) -> None:
        """Say that Redis does not hear that a job is worked on; once, until it does again."""
        if error is not None and not self._misses_heartbeats:
            logger.warning("heartbeat of job %s: %s", job.id, reason_of(error))
        self._misses_heartbeats = error is not None


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
        missed: RedisError | None = None
        try:
            super().maintain_heartbeats(job, *execution)
        except RedisError as error:
            missed = error
        self._heartbeat_missed(job, missed)

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

    def _beating(self, job: Job, *execution: Any) -> AbstractContextManager[None]:
        self._beats = True

        def beat(done: threading.Event) -> None:
            while not done.wait(BEAT_S):
                missed: RedisError | None = None
                try:
                    with self._beat_lock:
                        if self._beats:
                            self.maintain_heartbeats(job, *execution)
                except RedisError as error:
                    missed = error
                self._heartbeat_missed(job, missed)

        return meanwhile(beat, "heartbeat")
