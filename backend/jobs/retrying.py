"""Retry failed jobs: later where that helps, never otherwise.

RQ itself repeats a job whose process died; see AFTER_DEATHS_S in queueing/queue.py.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from redis.exceptions import RedisError
from rq import get_current_job
from rq.job import Retry

from backend.errors import ImageNotNowError, QueueError, UnreachableError
from wsol_core.errors import StorageError

logger = logging.getLogger(__name__)

FOR_NOW = (UnreachableError, ImageNotNowError, QueueError, RedisError, StorageError)  # trying again helps
WITHOUT_END = (StorageError,)  # until somebody makes room: what was trained is not given up for a full disk
WAITS_S = (1, 5, 15, 30, 60, 120, 300)  # before that; then every five minutes
MOST = 300  # attempts: about a day of a Label Studio that is down
NO_END = 10**9

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def retried(job_function: Callable[Arguments, Result]) -> Callable[Arguments, Result | Retry]:
    """Decorate a job function: errors FOR_NOW are retried, any other error ends the job for good."""

    @functools.wraps(job_function)
    def attempt(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result | Retry:
        job = get_current_job()
        try:
            return job_function(*args, **kwargs)
        except Exception as error:
            if job is None:
                raise
            if isinstance(error, FOR_NOW) and (isinstance(error, WITHOUT_END) or (job.number_of_retries or 0) < MOST):
                logger.warning("job %s is tried again: %s", job.id, error)
                return Retry(max=NO_END, interval=list(WAITS_S))
            job.retries_left = 0
            raise

    return attempt


def wait_turn(interval_s: int) -> Retry:
    """Return what a job returns that has to wait for something else; that does not count as a failed attempt."""
    if (job := get_current_job()) is not None:
        job.number_of_retries = 0
    return Retry(max=NO_END, interval=interval_s)
