"""What fails as it may is one line of the log; RQ would write a traceback, as if the program were at fault."""

from __future__ import annotations

import logging
from typing import Any

from redis.exceptions import RedisError
from rq.job import Job
from rq.timeouts import JobTimeoutException
from rq.worker import BaseWorker

from backend.errors import BackendError
from backend.queueing.connection import reason_of
from wsol_core.errors import WsolError

logger = logging.getLogger(__name__)

EXPECTED = (BackendError, WsolError, JobTimeoutException)


class TerseWorker(BaseWorker):
    """A worker that says of an expected failure what it is, and of any other one where it happened."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.log.addFilter(in_short)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Called by RQ with what a job has raised."""
        if isinstance(exc_info[1], EXPECTED):
            logger.warning("job %s failed: %s", job.id, exc_info[1])
        elif isinstance(exc_info[1], RedisError):
            logger.warning("job %s failed: %s", job.id, reason_of(exc_info[1]))
        else:
            super().handle_exception(job, *exc_info)


def in_short(record: logging.LogRecord) -> bool:
    """A filter for RQ's logger: what Redis has refused is said in the line itself, without a traceback."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, RedisError):
        record.msg, record.args, record.exc_info = f"{record.getMessage()} ({reason_of(error)})", None, None
    return True
