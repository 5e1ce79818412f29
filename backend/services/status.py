"""How the queues and workers are doing, for pages and for monitoring."""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import QueueError
from backend.jobs.queue import BULK, PREDICT, TRAIN, JobQueue


@dataclass(frozen=True, slots=True)
class Status:
    """jobs: queue -> state -> how many. workers: queue -> how many live. Both empty where Redis does not answer."""

    redis_up: bool
    jobs: dict[str, dict[str, int]]
    workers: dict[str, int]


class StatusService:
    """Asks Redis each time: processes come and go, Redis stays."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    def now(self) -> Status:
        """As it is now; a Redis that does not answer is an answer too."""
        try:
            workers = {name: len(self._queue.workers(name)) for name in (TRAIN, PREDICT, BULK)}
            return Status(True, self._queue.counts(), workers)
        except QueueError:
            return Status(False, {}, {})
