"""What RQ calls when a job has ended, in whichever process notices; so nothing here loads torch."""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq.job import Job

from backend.jobs.queue import JobQueue
from backend.settings import Settings
from backend.storage.runs import FAILED
from backend.storage.stores import open_stores


def training_failed(job: Job, _connection: Redis, kind: type, value: BaseException, _traceback: Any) -> None:
    """Called for every attempt that fails, also where the process died; the last one ends the run."""
    runs = open_stores(Settings.from_env()).runs
    reason = str(value) or kind.__name__
    if job.retries_left:
        runs.update(job.id, reason=f"Is tried again: {reason}")
    else:
        runs.update(job.id, state=FAILED, ended=_now(job), reason=reason)


def chunk_done(_job: Job, connection: Redis, result: dict[str, Any]) -> None:
    """Puts the next chunk of a pre-annotation on the queue.

    A worker that dies before its job is marked as done does the chunk again, which stores nothing twice.
    """
    if result.get("next") is not None:
        JobQueue(connection).preannotate(result["next"])


def _now(job: Job) -> float | None:
    return job.ended_at.timestamp() if job.ended_at else None
