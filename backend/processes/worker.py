"""The two kinds of workers. What they run is in tasks/; the queues are queue.py's.

Training forks a process per job: it can be stopped at once, and its memory, the GPU's too, goes back when it ends.
Prediction runs in the worker itself, so that models stay loaded. Heartbeats come every second, so that the jobs of a
dead worker are noticed within seconds; RQ's own would take minutes.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.client import Pipeline
from redis.exceptions import ConnectionError as ConnectionLostError
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker, Worker, worker_registration
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from backend.errors import QueueError
from backend.processes.parent_death import die_with_parent
from backend.queueing.connection import connect, where
from backend.queueing.queue import BULK, JOBS, PREDICT, TRAIN, JobQueue
from backend.settings import Settings

logger = logging.getLogger(__name__)

BEAT_S = 1
DEAD_AFTER_S = 6  # without a heartbeat; on a machine that has nothing left to give, some come late
IDLE_TTL_S = 20  # RQ waits 15 s less for a job before it says that it is alive
GONE_AFTER_S = 15  # without a heartbeat, and no more counted as a worker
REGISTERED_EVERY_S = 4.0
LOOK_EVERY_S = 1.0


class _PatientWorker(BaseWorker):
    """Beats every few seconds, and waits for a Redis that is away; RQ's own ends."""

    max_connection_wait_time = 2.0
    _registered_s = 0.0

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Seconds after which the job counts as abandoned."""
        return DEAD_AFTER_S

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Says that the worker lives, also to a Redis that has forgotten it."""
        super().heartbeat(GONE_AFTER_S, pipeline)
        if pipeline is not None:
            worker_registration.register(self, pipeline)
        elif time.monotonic() - self._registered_s > REGISTERED_EVERY_S:  # not before every job: that takes time
            worker_registration.register(self)
            self.connection.hset(self.key, mapping=self.serialize())
            self._registered_s = time.monotonic()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Where Redis went away meanwhile, the janitor gives the job to a worker again."""
        try:
            super().execute_job(job, queue)
        except ConnectionLostError as error:
            logger.warning("job %s: Redis went away: %s", job.id, error)
            self._wait_for_redis()

    def _wait_for_redis(self) -> None:
        while not self._stop_requested:
            try:
                self.connection.ping()
                return
            except RedisError:
                time.sleep(LOOK_EVERY_S)


class TrainWorker(_PatientWorker, Worker):
    """Forks for every job; the fork dies with the worker, so that no training runs twice."""

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """The forked process's beginning."""
        die_with_parent(self.pid, signal.SIGKILL)
        super().main_work_horse(job, queue)

    def maintain_heartbeats(self, job: Job) -> None:
        """A training goes on while Redis is away."""
        try:
            super().maintain_heartbeats(job)
        except RedisError as error:
            logger.warning("heartbeat of job %s: %s", job.id, type(error).__name__)

    def set_current_job_working_time(self, current_job_working_time: float, pipeline: Pipeline | None = None) -> None:
        """Written before each heartbeat; nobody misses it."""
        self.current_job_working_time = current_job_working_time

    def handle_warm_shutdown_request(self) -> None:
        """Tells the training too: it saves a checkpoint and goes back to the queue, instead of taking hours more."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)


class PredictWorker(_PatientWorker, SimpleWorker):
    """Runs jobs itself, with a thread that keeps telling Redis that it is alive."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._beat_lock = threading.Lock()

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """As SimpleWorker's, with heartbeats."""
        with self._beating(job):
            return bool(super().perform_job(job, queue))

    def cleanup_execution(self, job: Job, pipeline: Pipeline) -> None:
        """The execution that the heartbeats are for ends."""
        with self._beat_lock:
            super().cleanup_execution(job, pipeline)

    @contextmanager
    def _beating(self, job: Job) -> Iterator[None]:
        done = threading.Event()

        def beat() -> None:
            while not done.wait(BEAT_S):
                try:
                    with self._beat_lock:
                        if self.execution is not None:
                            self.maintain_heartbeats(job)
                except RedisError as error:
                    logger.warning("heartbeat of job %s: %s", job.id, type(error).__name__)

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


KINDS: dict[str, tuple[type[Worker] | type[SimpleWorker], tuple[str, ...], tuple[str, ...]]] = {
    "train": (TrainWorker, (TRAIN,), ("train",)),
    "predict": (PredictWorker, (PREDICT, BULK), ("predict", "preannotate")),
}


def make_worker(kind: str, settings: Settings) -> Worker | SimpleWorker:
    """A worker of a kind, "train" or "predict", connected."""
    worker_class, names, _ = KINDS[kind]
    options: dict[str, Any] = {
        "serializer": JSONSerializer,
        "job_monitoring_interval": BEAT_S,
        "worker_ttl": IDLE_TTL_S,
    }
    return worker_class(list(names), connection=connect(settings), **options)


def run_worker(kind: str, settings: Settings) -> None:
    """Works until it is told to end: SIGTERM or Ctrl-C lets predictions finish and trainings save, then it ends.

    Raises: QueueError where Redis cannot be reached at the start; later it is waited for.
    """
    _, names, tasks = KINDS[kind]
    try:
        JobQueue(connect(settings)).ping()
    except QueueError as error:
        raise QueueError(f"{where(settings)}: {error}") from error
    for name in tasks:  # loading torch takes seconds; better now than in the first job, or in every fork
        importlib.import_module(f"{JOBS}.{name}")
    worker = make_worker(kind, settings)
    logger.info("worker %s: %s, waiting for %s on %s", worker.name, kind, " and ".join(names), where(settings))
    worker.work(logging_level=settings.log_level)
