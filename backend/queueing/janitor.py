"""Keeps jobs moving: those of dead workers and those whose time has come go back to their queues.

RQ would do both within minutes. Several janitors, on several machines, take turns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from redis.exceptions import ConnectionError as ConnectionLostError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as TooSlowError
from rq.job import JobStatus

from backend.errors import BackendError, RedisAwayError
from backend.queueing.periodic import PeriodicThread
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.queueing.rq_adapter import DueJobs
from backend.storage.runs import Run, RunState, RunStore
from wsol_core.errors import WsolError

logger = logging.getLogger(__name__)

EVERY_S = 1.0
LOCK_S = 10.0  # after which another janitor takes over from one that was killed
THOROUGH_EVERY = 5  # rounds
GRACE_S = 8.0  # after Redis was away, for the workers to be heard of again
SETTLED_AFTER_S = 3600.0  # of a run's end; sooner, a process of it that does not know may still write
JOB_ENDED = tuple(
    status.value for status in (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED)
)


class Janitor(PeriodicThread):
    """One for each web process; they take turns."""

    def __init__(self, queue: JobQueue, runs: RunStore) -> None:
        super().__init__("janitor")
        self._queue, self._runs = queue, runs
        self._due_jobs = DueJobs(queue.connection, (TRAIN, PREDICT, BULK))
        self._orphans: set[str] = set()
        self._taken: set[str] = set()
        self._settled: set[str] = set()  # runs whose files and jobs need no more care

    def run_once(self, thorough: bool = False, recover: bool = True) -> None:
        """One round; nothing while another janitor does one.

        Args: thorough: also what goes wrong rarely: jobs that are on no queue, runs that Redis forgot or whose job
            ended without a word, files of runs that have ended. recover: also jobs whose workers are not heard of.
        """
        with self._queue.lock("janitor", LOCK_S, blocking=False) as held:
            if not held:
                return
            steps: list[Callable[[], None]] = [self._due_jobs.enqueue]
            if recover:
                steps = [self._queue.requeue_abandoned, self._requeue_taken, *steps]
            if thorough:
                steps += [self._requeue_orphans, self._settle_runs]
            for step in steps:
                self._do(step)

    def _do(self, step: Callable[[], None]) -> None:
        """Do one step of a round; whatever goes wrong in it keeps no other from being done."""
        try:
            step()
        except (RedisAwayError, ConnectionLostError, TooSlowError):
            raise
        except (BackendError, WsolError, RedisError) as error:
            logger.warning("janitor: %s", error)
        except Exception:
            logger.exception("janitor: unexpected")

    def _requeue_taken(self) -> None:
        self._taken = self._queue.requeue_taken_predictions(self._taken)

    def _requeue_orphans(self) -> None:
        self._orphans = self._queue.requeue_orphans(self._orphans)

    def _settle_runs(self) -> None:
        names = set(self._runs.names())
        self._settled &= names
        for name in sorted(names - self._settled):
            if (run := self._runs.find(name)) is not None:
                self._do(partial(self._settle, run))

    def _settle(self, run: Run) -> None:
        if run.state.has_ended:
            self._runs.clear(run.id, everything=run.state == RunState.CANCELLED)
            if time.time() - (run.ended or 0.0) > SETTLED_AFTER_S:
                self._settled.add(run.id)
            return
        status = self._queue.status(run.id)
        if status is None:
            logger.warning("run %s is not in Redis any more; it is put on its queue again", run.id)
            self._queue.train(run.id)
        elif status in JOB_ENDED:
            self._runs.update(
                run.id,
                state=RunState.FAILED,
                ended=time.time(),
                reason=f"Its job is {status}, and did not say why; the train worker's log may. {run.reason}".rstrip(),
            )

    def _work(self) -> None:
        rounds, recover_from_s = 0, 0.0
        while not self._done.wait(EVERY_S):
            rounds += 1
            try:
                self.run_once(rounds % THOROUGH_EVERY == 0, recover=time.monotonic() >= recover_from_s)
                self._went_well()
            except (RedisAwayError, ConnectionLostError, TooSlowError) as error:
                self._failed(error)
                recover_from_s = time.monotonic() + GRACE_S
            except (BackendError, RedisError) as error:  # such as another janitor that took the lock over
                self._failed(error)
            except Exception:  # a thread that dies in silence would leave jobs where they are
                logger.exception("janitor: unexpected")
