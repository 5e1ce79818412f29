"""Functions that RQ calls when a job has ended, in whichever process notices: nothing here loads torch."""

from __future__ import annotations

import logging
import time
from typing import Any

from redis import Redis
from rq.exceptions import AbandonedJobError
from rq.job import Job

from backend.errors import BackendError
from backend.queueing.messages import PreannotationChunk
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.runs import RunState
from backend.storage.stores import open_stores
from wsol_core.errors import WsolError

logger = logging.getLogger(__name__)


def training_failed(job: Job, _connection: Redis, kind: type, value: BaseException, _traceback: Any) -> None:
    """Record why a run ended, or that it goes on after its process died.

    It must not fail itself: with RQ 2 the janitor would find the same dead job first again and again, and recover no
    other.
    """
    try:
        runs = open_stores(Settings.from_env()).runs
        if job.retries_left:
            runs.update(job.id, reason="Its worker died; another one goes on from the last checkpoint.")
        else:
            died = "Its worker died too often." if kind is AbandonedJobError else ""
            runs.update(job.id, state=RunState.FAILED, ended=time.time(), reason=died or str(value) or kind.__name__)
    except (BackendError, WsolError) as error:  # its record is damaged, or the disk full
        logger.warning("run %s: its end is not recorded: %s", job.id, error)
    except Exception:
        logger.exception("run %s: its record could not be changed", job.id)


def chunk_done(_job: Job, connection: Redis, result: Any) -> None:
    """Put the next chunk of a pre-annotation on the queue.

    A worker that dies before its job is marked as done does the chunk again, which stores nothing twice.
    """
    if result.get("next") is not None:
        JobQueue(connection).preannotate(PreannotationChunk.from_dict(result["next"]))
