"""Asks RetrainingService every few seconds to start what is due; the schedulers of several processes take turns."""

from __future__ import annotations

import logging

from redis.exceptions import RedisError

from backend.errors import BackendError
from backend.queueing.periodic import PeriodicThread
from backend.queueing.queue import JobQueue
from backend.services.retraining import RetrainingService

logger = logging.getLogger(__name__)

EVERY_S = 5.0
LOCK_S = 60.0  # after which another takes over from one that was killed


class RetrainingScheduler(PeriodicThread):
    """Runs in each web process; a lock in Redis lets one of them look at a time."""

    def __init__(self, queue: JobQueue, retraining: RetrainingService) -> None:
        super().__init__("retraining-scheduler")
        self._queue, self._retraining = queue, retraining

    def run_once(self) -> None:
        """One look at all projects; nothing while another scheduler looks."""
        with self._queue.lock("timekeeper", LOCK_S, blocking=False) as held:  # the name of versions before this one
            if held:
                self._retraining.tick()

    def _work(self) -> None:
        while not self._done.wait(EVERY_S):
            try:
                self.run_once()
                self._went_well()
            except (BackendError, RedisError) as error:
                self._failed(error)
            except Exception:  # a thread that dies in silence would start no training any more
                logger.exception("retraining scheduler: unexpected")
