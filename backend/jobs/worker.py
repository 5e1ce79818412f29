"""The two kinds of workers. What they run is in tasks/; the queues are queue.py's.

Training forks a process per job: it can be stopped at once, and its memory, the GPU's too, goes back when it ends.
Prediction runs in the worker itself, so that models stay loaded. Heartbeats come every second, so that the jobs of a
dead worker are noticed within seconds; RQ's own would take minutes.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.exceptions import RedisError
from rq import Queue, SimpleWorker, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from backend.errors import QueueError
from backend.jobs.connection import connect, where
from backend.jobs.queue import BULK, PREDICT, TASKS, TRAIN, JobQueue
from backend.settings import Settings

logger = logging.getLogger(__name__)

BEAT_S = 1
DEAD_AFTER_S = 4  # without a heartbeat
PR_SET_PDEATHSIG = 1  # Linux: a signal for a process whose parent has died


class TrainWorker(Worker):
    """Forks for every job; the fork dies with the worker, so that no training runs twice."""

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Seconds after which the job counts as abandoned."""
        return DEAD_AFTER_S

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """The forked process's beginning."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self.pid:
                os._exit(1)
        super().main_work_horse(job, queue)


class PredictWorker(SimpleWorker):
    """Runs jobs itself, with a thread that keeps telling Redis that it is alive."""

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Seconds after which the job counts as abandoned."""
        return DEAD_AFTER_S

    def execute_job(self, job: Job, queue: Queue) -> None:
        """As SimpleWorker's, with heartbeats."""
        self.prepare_execution(job)
        with self._beating(job):
            self.perform_job(job, queue)
        self.set_state("idle")

    @contextmanager
    def _beating(self, job: Job) -> Iterator[None]:
        done = threading.Event()

        def beat() -> None:
            while not done.wait(BEAT_S):
                try:
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


def run_worker(kind: str, settings: Settings) -> None:
    """Works until it is told to end: SIGTERM or Ctrl-C lets the job in hand finish, a second one does not.

    Raises: QueueError where Redis cannot be reached at the start; later it is waited for.
    """
    worker_class, names, tasks = KINDS[kind]
    connection = connect(settings)
    try:
        JobQueue(connection).ping()
    except QueueError as error:
        raise QueueError(f"{where(settings)}: {error}") from error
    for name in tasks:  # loading torch takes seconds; better now than in the first job, or in every fork
        importlib.import_module(f"{TASKS}.{name}")
    options: dict[str, Any] = {"serializer": JSONSerializer, "job_monitoring_interval": BEAT_S}
    worker = worker_class(list(names), connection=connection, **options)
    logger.info("worker %s: %s, waiting for %s on %s", worker.name, kind, " and ".join(names), where(settings))
    worker.work(logging_level=settings.log_level)
