"""A job that fails as jobs may is one line of the log; RQ would write a traceback, as if the program were at fault."""

from __future__ import annotations

import logging
from typing import Any

from rq.job import Job
from rq.timeouts import JobTimeoutException
from rq.worker import BaseWorker

from backend.errors import BackendError
from wsol_core.errors import WsolError

logger = logging.getLogger(__name__)

EXPECTED = (BackendError, WsolError, JobTimeoutException)


class TerseWorker(BaseWorker):
    """A worker that says of an expected failure what it is, and of any other one where it happened."""

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Called by RQ with what a job has raised."""
        if isinstance(exc_info[1], EXPECTED):
            logger.warning("job %s failed: %s", job.id, exc_info[1])
        else:
            super().handle_exception(job, *exc_info)
