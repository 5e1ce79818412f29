"""Put jobs on the queues, ask how they stand, stop them. Jobs are named by import path; none runs here.

    boxstrap-train     trainings, one at a time for each project
    boxstrap-predict   what a person waits for: /predict
    boxstrap-bulk      pre-annotation of whole projects, chunk by chunk, and reading what people did in them,
                       behind boxstrap-predict

Arguments and results are JSON: whoever can write to Redis can still name functions, so Redis has to be private.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

import redis
from redis.exceptions import LockError
from rq import Callback, Retry
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from backend.errors import BusyError
from backend.queueing.connection import redis_errors
from backend.queueing.living_workers import living_workers
from backend.queueing.messages import PreannotationChunk, PredictionRequest
from backend.queueing.orphaned_jobs import requeue_abandoned, requeue_orphans, requeue_taken
from backend.queueing.progress import EventStore, ProgressStore, PromptStore
from backend.queueing.rq_adapter import QueuedJob, declare_dead, forget, open_queue, taken_jobs

TRAIN, PREDICT, BULK = "boxstrap-train", "boxstrap-predict", "boxstrap-bulk"
JOBS, CALLBACKS = "backend.jobs", "backend.queueing.callbacks"
# Seconds before a job whose process died is tried again: at once, and slowly where it keeps dying. Errors that a job
# raises are handled in jobs/retrying.py.
AFTER_DEATHS_S = [0] * 10 + [60] * 90
CHUNK_TIMEOUT_S = 900
MOST_DEATHS = 3
LOCK_S = 20.0
KEPT_S = 86400  # what has ended is shown for a day
JOB_STATES = ("queued", "started", "scheduled", "failed")
NOT_STARTED = (JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED, JobStatus.CREATED)

Json = dict[str, Any]


class JobQueue:
    """The queues in one Redis. Every method raises QueueError where Redis cannot be reached."""

    def __init__(self, connection: redis.Redis, patient: redis.Redis | None = None) -> None:
        """Args: patient: a connection for waiting on predictions, where `connection` expects quick answers."""
        self.connection, self._patient = connection, patient or connection
        self.progress, self.events = ProgressStore(connection), EventStore(connection)
        self.prompts = PromptStore(connection)
        self._queues = {name: open_queue(name, connection) for name in (TRAIN, PREDICT, BULK)}

    def ping(self) -> None:
        """QueueError unless Redis answers."""
        with redis_errors():
            self.connection.ping()

    def train(self, run_id: str) -> None:
        """Put a run on the queue; nothing happens where Redis knows its job."""
        with redis_errors():
            if self._job(run_id) is None:
                self._queues[TRAIN].enqueue(
                    f"{JOBS}.train.train",
                    run_id,
                    job_id=run_id,
                    description=f"train {run_id}",
                    job_timeout=-1,
                    result_ttl=KEPT_S,
                    failure_ttl=KEPT_S,
                    retry=Retry(max=len(AFTER_DEATHS_S), interval=AFTER_DEATHS_S),
                    on_failure=Callback(f"{CALLBACKS}.training_failed"),
                )

    def predict(self, request: PredictionRequest, wait_s: float) -> list[Json]:
        """One prediction a task of `request`, from a worker; BusyError where there is none in time.

        What nobody waits for any more is not begun.
        """
        wait = max(1, int(wait_s))
        with redis_errors():
            job = self._queues[PREDICT].enqueue(
                f"{JOBS}.predict.predict",
                request.to_dict(),
                # RQ logs a job's description, else its arguments: those hold addresses that may be signed.
                description=f"predict {len(request.tasks)} tasks of project {request.project_id}",
                retry=Retry(max=MOST_DEATHS),  # of its workers, while somebody waits
                job_timeout=wait + 5,
                ttl=wait + 5,
                result_ttl=60,
                failure_ttl=600,
            )
            waiting = Job(job.id, connection=self._patient, serializer=JSONSerializer)
            result = waiting.latest_result(timeout=wait)
            if result is None:
                self._give_up(job.id)
                workers = len(self.workers(PREDICT))
                advice = "they are busy; ask again, or start more" if workers else "start `boxstrap worker predict`"
                raise BusyError(f"No prediction within {wait} s. {workers} workers for it are running: {advice}.")
        if result.type != Result.Type.SUCCESSFUL:
            raise BusyError(f"The prediction failed: {_last_line(result.exc_string)}")
        return list(result.return_value or ())

    def begin_preannotation(
        self, project_id: str, version: str, drafts: bool | None = None, anew: bool = False
    ) -> None:
        """Put the first chunk of a whole project's pre-annotation on the queue; each chunk puts the next one there.

        Args: drafts, anew: as of PreannotationChunk.
        """
        self.preannotate(PreannotationChunk(project_id, version, drafts=drafts, anew=anew))

    def preannotate(self, chunk: PreannotationChunk) -> None:
        """Put a chunk of a project's pre-annotation on the queue; nothing happens while it waits or runs."""
        job_id = f"bulk-{chunk.project_id}-{chunk.version}-{chunk.after_id}{'-anew' if chunk.anew else ''}"
        with redis_errors():
            known = self._job(job_id)
            if known is not None and known.get_status() not in (*NOT_STARTED, JobStatus.STARTED):
                forget(known)
                known = None
            if known is None:
                what = f"pre-annotate project {chunk.project_id} after task {chunk.after_id}"
                done = Callback(f"{CALLBACKS}.chunk_done")
                self._enqueue_bulk("preannotate.preannotate", chunk.to_dict(), job_id, what, on_success=done)

    def is_waited_for(self) -> bool:
        """Whether anybody waits for a prediction that no worker has begun."""
        with redis_errors():
            return self._queues[PREDICT].count > 0

    def sync_annotations(self, project_id: str, full: bool = False) -> None:
        """Have a worker read what people did in the project since it was last read; one job waits for that at most.

        Args: full: all of the project, since of what was deleted no trace is left.
        """
        with redis_errors():
            key = _asked_key(project_id)
            self.connection.hincrby(key, "full" if full else "changes", 1)
            # One that has been started may have looked at the counters for the last time: then another one follows.
            for job_id in (f"observe-{project_id}", f"observe-{project_id}-next"):
                known = self._job(job_id)
                status = None if known is None else known.get_status(refresh=False)
                if status in NOT_STARTED:
                    return
                if status != JobStatus.STARTED:
                    self._enqueue_sync(project_id, job_id, known)
                    return

    def requested_syncs(self, project_id: str) -> dict[str, int]:
        """How often `sync_annotations` was asked for, "full" or just "changes"; it is repeated when that has grown."""
        with redis_errors():
            found = self.connection.hmget(_asked_key(project_id), "changes", "full")
        return {name: int(count) for name, count in zip(("changes", "full"), found, strict=True) if count is not None}

    def authorize_webhook(self, project_id: str, own_url: str) -> None:
        """Have a worker add our password to the webhook that Label Studio made, once a minute at most."""
        with redis_errors():
            if self.connection.set(f"boxstrap:signed:{project_id}", "1", nx=True, ex=60):
                self._queues[PREDICT].enqueue(
                    f"{JOBS}.authorize_webhook.authorize_webhook",
                    project_id,
                    own_url,
                    description=f"sign the webhook of project {project_id}",
                    job_timeout=60,
                    result_ttl=60,
                    failure_ttl=600,
                )

    def status(self, job_id: str) -> str | None:
        """RQ's status of the job; None where Redis does not know it."""
        with redis_errors():
            job = self._job(job_id)
            return None if job is None else job.get_status().value

    def cancel(self, job_id: str) -> None:
        """Take a job off its queue, or kill the process that a worker has for it; one that has ended stays."""
        with redis_errors():
            job = self._job(job_id)
            if job is None:
                return
            if job.get_status() == JobStatus.STARTED:
                try:
                    send_stop_job_command(self.connection, job_id, serializer=JSONSerializer)
                except (InvalidJobOperation, NoSuchJobError):  # it ended just now
                    return
            elif job.get_status() in NOT_STARTED:
                forget(job)

    def requeue_abandoned(self) -> None:
        """Put jobs of dead workers back on their queues; RQ itself does so within minutes only."""
        with redis_errors():
            requeue_abandoned(self._queues.values())

    def requeue_orphans(self, seen_before: AbstractSet[str] = frozenset()) -> set[str]:
        """As orphaned_jobs.requeue_orphans."""
        with redis_errors():
            return requeue_orphans(self.connection, self._queues.values(), seen_before)

    def requeue_taken_predictions(self, seen_before: AbstractSet[str] = frozenset()) -> set[str]:
        """As orphaned_jobs.requeue_taken, for what persons wait for."""
        with redis_errors():
            return requeue_taken(self._queues[PREDICT], seen_before)

    def declare_dead(self, hostname: str, pid: int) -> None:
        """Say that a worker's process has died: its job goes back at the janitor's next round, what it took at once."""
        predictions = self._queues[PREDICT]
        with redis_errors():
            declare_dead(self.connection, self._queues.values(), hostname, pid)
            requeue_taken(predictions, taken_jobs(predictions))

    def workers(self, queue: str | None = None) -> list[BaseWorker]:
        """Living workers, those of a queue only if it is named."""
        with redis_errors():
            every = living_workers(self.connection)
        return [worker for worker in every if queue is None or queue in worker.queue_names()]

    def counts(self) -> dict[str, dict[str, int]]:
        """Queue -> state -> jobs."""
        with redis_errors(), self.connection.pipeline(transaction=False) as pipeline:  # one answer to wait for
            for queue in self._queues.values():
                pipeline.llen(queue.key)
                for registry in (
                    queue.started_job_registry,
                    queue.scheduled_job_registry,
                    queue.failed_job_registry,
                ):
                    pipeline.zcard(registry.key)
            found = iter(pipeline.execute())
        return {name: {state: next(found) for state in JOB_STATES} for name in self._queues}

    @contextmanager
    def lock(self, name: str, seconds: float = LOCK_S, blocking: bool = True) -> Iterator[bool]:
        """Inside, nobody else holds the lock of that name, on any machine, for at most `seconds`.

        Yields: whether the lock is held; False only if not `blocking`.
        Raises: BusyError where it stays taken for `seconds`, or was held for longer.
        """
        lock = self.connection.lock(f"boxstrap:lock:{name}", timeout=seconds)
        with redis_errors():
            try:
                held = lock.acquire(blocking=blocking, blocking_timeout=seconds if blocking else None)
                if blocking and not held:
                    raise LockError("taken")
                try:
                    yield held
                finally:
                    if held:
                        lock.release()
            except LockError as error:
                raise BusyError(f"Another request about {name} takes too long; ask again.") from error

    def _enqueue_sync(self, project_id: str, job_id: str, ended: Job | None) -> None:
        if ended is not None:
            forget(ended)
        self._enqueue_bulk(
            "sync_annotations.sync_annotations", project_id, job_id, f"read what people did in project {project_id}"
        )

    def _enqueue_bulk(self, function: str, argument: Any, job_id: str, description: str, **more: Any) -> None:
        self._queues[BULK].enqueue(
            f"{JOBS}.{function}",
            argument,
            job_id=job_id,
            description=description,
            job_timeout=CHUNK_TIMEOUT_S,
            result_ttl=KEPT_S,
            failure_ttl=KEPT_S,
            retry=Retry(max=len(AFTER_DEATHS_S), interval=AFTER_DEATHS_S),
            **more,
        )

    def _job(self, job_id: str) -> Job | None:
        try:
            return QueuedJob.fetch(job_id, connection=self.connection, serializer=JSONSerializer)
        except NoSuchJobError:
            return None

    def _give_up(self, job_id: str) -> None:
        job = self._job(job_id)
        if job is not None and job.get_status(refresh=False) in NOT_STARTED:
            forget(job)


def _asked_key(project_id: str) -> str:
    return f"boxstrap:observe:{project_id}"


def _last_line(text: str | None) -> str:
    """The error's message at the end of a traceback, without the names of our own error classes."""
    lines: Sequence[str] = (text or "").strip().splitlines()
    return re.sub(r"^(backend|wsol_core)\.errors\.\w+: ", "", lines[-1])[:300] if lines else "no reason was given"
