"""Count jobs and workers, for pages and for monitoring."""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import QueueError, RedisAwayError, RedisFullError
from backend.queueing.connection import require_writes
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """A living worker. `state` is RQ's word: idle, busy, started or suspended."""

    name: str
    host: str
    state: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """jobs: queue -> state -> how many. workers: queue -> how many live. All empty where Redis does not answer.

    redis_up: it does what it is asked to; where it only answers, `redis_problem` says in a sentence what is missing.
    """

    redis_up: bool
    jobs: dict[str, dict[str, int]]
    workers: dict[str, int]
    processes: tuple[WorkerFacts, ...] = ()
    redis_problem: str = ""

    @property
    def can_train(self) -> bool:
        """Return whether a worker is there for trainings."""
        return self.workers.get(TRAIN, 0) > 0

    @property
    def can_predict(self) -> bool:
        """Return whether a worker is there for what a person waits for."""
        return self.workers.get(PREDICT, 0) > 0


class StatusService:
    """Asks Redis each time, since processes come and go."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    def now(self) -> Status:
        """Return the status now; all counts are empty if Redis does not answer."""
        try:
            require_writes(self._queue.connection)
            found = [
                WorkerFacts(worker.name, worker.hostname or "", str(worker.get_state()), tuple(worker.queue_names()))
                for worker in self._queue.workers()
            ]
            jobs = self._queue.counts()
        except QueueError as error:
            is_away = isinstance(error, RedisAwayError) and not isinstance(error, RedisFullError)
            return Status(False, {}, {}, redis_problem="" if is_away else str(error))
        processes = tuple(sorted(found, key=lambda worker: (worker.queues, worker.host, worker.name)))
        workers = {name: sum(name in worker.queues for worker in processes) for name in (TRAIN, PREDICT, BULK)}
        return Status(True, jobs, workers, processes)
