"""Lets the loop look every few seconds whether a training is to start; several timekeepers take turns."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from redis.exceptions import RedisError

from backend.errors import BackendError
from backend.jobs.queue import JobQueue
from backend.services.loop import LoopService

logger = logging.getLogger(__name__)

EVERY_S = 5.0
LOCK_S = 60.0  # after which another takes over from one that was killed


class Timekeeper:
    """A thread between `start` and `stop`, or while it is entered."""

    def __init__(self, queue: JobQueue, loop: LoopService) -> None:
        self._queue, self._loop = queue, loop
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, name="timekeeper", daemon=True)

    def start(self) -> None:
        """Begins to look; once only."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the look that it is at, and waits for that, within reason."""
        self._done.set()
        self._thread.join(timeout=5)

    def __enter__(self) -> None:
        self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def look(self) -> None:
        """One round of the loop; nothing where another timekeeper is at it."""
        lock = self._queue.connection.lock("boxstrap:lock:timekeeper", timeout=LOCK_S)
        if not lock.acquire(blocking=False):
            return
        try:
            self._loop.tick()
        finally:
            lock.release()

    def _work(self) -> None:
        while not self._done.wait(EVERY_S):
            try:
                self.look()
            except (BackendError, RedisError) as error:
                logger.warning("timekeeper: %s", error)
            except Exception:  # a thread that dies in silence would start no training any more
                logger.exception("timekeeper: unexpected")
