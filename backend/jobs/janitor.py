"""Keeps jobs moving: those of dead workers and those whose time has come go back to their queues.

RQ would do both within minutes; a scheduler that was killed even blocks the next one for one. Several janitors, on
several machines, take turns.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from redis.exceptions import RedisError
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer

from backend.errors import BackendError
from backend.jobs.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.storage.runs import QUEUED, RUNNING, RunStore

logger = logging.getLogger(__name__)

EVERY_S = 1.0
LOST_EVERY = 10  # rounds


class Janitor:
    """A thread while it is entered."""

    def __init__(self, queue: JobQueue, runs: RunStore) -> None:
        self._queue, self._runs = queue, runs
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, name="janitor", daemon=True)
        self._scheduler = RQScheduler([TRAIN, PREDICT, BULK], connection=queue.connection, serializer=JSONSerializer)
        self._scheduler.prepare_registries([TRAIN, PREDICT, BULK])

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(timeout=5)

    def tidy(self, lost_too: bool = False) -> None:
        """One round; nothing where another janitor is at it.

        Args: lost_too: runs that Redis forgot are put on their queue again as well.
        """
        lock = self._queue.connection.lock("boxstrap:lock:janitor", timeout=10)
        if not lock.acquire(blocking=False):
            return
        try:
            self._queue.recover()
            self._scheduler.enqueue_scheduled_jobs()  # type: ignore[no-untyped-call]
            if lost_too:
                self._find_lost()
        finally:
            lock.release()

    def _find_lost(self) -> None:
        for run in self._runs.all():
            if run.state in (QUEUED, RUNNING) and self._queue.status(run.id) is None:
                logger.warning("run %s is not in Redis any more; it is put on its queue again", run.id)
                self._queue.train(run.id)

    def _work(self) -> None:
        rounds = 0
        while not self._done.wait(EVERY_S):
            rounds += 1
            try:
                self.tidy(lost_too=rounds % LOST_EVERY == 0)
            except (BackendError, RedisError) as error:
                logger.warning("janitor: %s", error)
            except Exception:  # a thread that dies in silence would leave jobs where they are
                logger.exception("janitor: unexpected")
