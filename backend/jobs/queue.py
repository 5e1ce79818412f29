"""The queues: what is put on them, how far it is, how it is stopped. Names jobs by import path and runs none.

    boxstrap-train     trainings, one at a time for each project
    boxstrap-predict   what a person waits for: /predict
    boxstrap-bulk      pre-annotation of whole projects, chunk by chunk, behind boxstrap-predict

Arguments and results are JSON: whoever can write to Redis can still name functions, so Redis has to be private.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Callback, Job, JobStatus, Retry
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from backend.errors import BusyError, QueueError

TRAIN, PREDICT, BULK = "boxstrap-train", "boxstrap-predict", "boxstrap-bulk"
TASKS, CALLBACKS = "backend.jobs.tasks", "backend.jobs.callbacks"
WAITS_S = (5, 15, 30, 60, 120, 300)  # before what failed for now is tried again; then every five minutes
MANY = 300  # attempts: about a day of a Label Studio that is down
CHUNK_TIMEOUT_S = 900
KEPT_S = 86400  # what has ended is shown for a day
NOT_STARTED = (JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED, JobStatus.CREATED)

Json = dict[str, Any]


class JobQueue:
    """The queues in one Redis. Every method raises QueueError where Redis cannot be reached."""

    def __init__(self, connection: redis.Redis) -> None:
        self.connection = connection
        self._queues = {
            name: Queue(name, connection=connection, serializer=JSONSerializer) for name in (TRAIN, PREDICT, BULK)
        }

    def ping(self) -> None:
        """QueueError unless Redis answers."""
        with _reaching():
            self.connection.ping()

    def train(self, run_id: str) -> None:
        """Puts a run on the queue, once: again is nothing."""
        with _reaching():
            if self._job(run_id) is None:
                self._queues[TRAIN].enqueue(
                    f"{TASKS}.train.train",
                    run_id,
                    job_id=run_id,
                    description=f"train {run_id}",
                    job_timeout=-1,
                    result_ttl=KEPT_S,
                    failure_ttl=KEPT_S,
                    retry=Retry(max=MANY, interval=_waits()),
                    on_failure=Callback(f"{CALLBACKS}.training_failed"),
                )

    def predict(self, call: Mapping[str, Any], wait_s: float) -> list[Json]:
        """One prediction a task of `call`, from a worker; BusyError where there is none in time.

        What nobody waits for any more is not begun.
        """
        with _reaching():
            job = self._queues[PREDICT].enqueue(
                f"{TASKS}.predict.predict",
                dict(call),
                # RQ logs a job's description, else its arguments: those hold addresses that may be signed.
                description=f"predict {len(call['tasks'])} tasks of project {call['project_id']}",
                job_timeout=int(wait_s) + 5,
                ttl=int(wait_s) + 1,
                result_ttl=60,
                failure_ttl=600,
            )
            result = job.latest_result(timeout=max(1, int(wait_s)))
            if result is None:
                self._give_up(job)
                workers = len(self.workers(PREDICT))
                advice = "they are busy; ask again, or start more" if workers else "start `boxstrap worker predict`"
                raise BusyError(f"No prediction within {wait_s:g} s. {workers} workers for it are running: {advice}.")
        if result.type != Result.Type.SUCCESSFUL:
            raise BusyError(f"The prediction failed: {_last_line(result.exc_string)}")
        return list(result.return_value or ())

    def preannotate(self, chunk: Mapping[str, Any]) -> None:
        """Puts a chunk of a project's pre-annotation on the queue, once: again is nothing while it waits or runs."""
        job_id = f"bulk-{chunk['project_id']}-{chunk['version']}-{chunk['after_id']}"
        with _reaching():
            known = self._job(job_id)
            if known is not None and known.get_status() not in (*NOT_STARTED, JobStatus.STARTED):
                known.delete()
                known = None
            if known is None:
                self._queues[BULK].enqueue(
                    f"{TASKS}.preannotate.preannotate",
                    dict(chunk),
                    job_id=job_id,
                    description=f"pre-annotate project {chunk['project_id']} after task {chunk['after_id']}",
                    job_timeout=CHUNK_TIMEOUT_S,
                    result_ttl=KEPT_S,
                    failure_ttl=KEPT_S,
                    retry=Retry(max=MANY, interval=_waits()),
                    on_success=Callback(f"{CALLBACKS}.chunk_done"),
                )

    def sign_webhook(self, project_id: str, own_url: str) -> None:
        """Has a worker add our password to the webhook that Label Studio made; asked for once a minute at most."""
        with _reaching():
            if self.connection.set(f"boxstrap:signed:{project_id}", "1", nx=True, ex=60):
                self._queues[PREDICT].enqueue(
                    f"{TASKS}.webhooks.sign",
                    project_id,
                    own_url,
                    description=f"sign the webhook of project {project_id}",
                    job_timeout=60,
                    result_ttl=60,
                    failure_ttl=600,
                )

    def status(self, job_id: str) -> str | None:
        """RQ's word for how the job stands; None where Redis does not know it."""
        with _reaching():
            job = self._job(job_id)
            return None if job is None else str(job.get_status())

    def cancel(self, job_id: str) -> None:
        """Takes a job off its queue, or kills its process if a worker has one for it; nothing where it has ended."""
        with _reaching():
            job = self._job(job_id)
            if job is None:
                return
            if job.get_status() == JobStatus.STARTED:
                try:
                    send_stop_job_command(self.connection, job_id, serializer=JSONSerializer)
                except InvalidJobOperation:  # it ended just now
                    return
            elif job.get_status() in NOT_STARTED:
                job.cancel()
                job.delete()

    def report_progress(self, job_id: str, progress: Mapping[str, Any]) -> None:
        """What `progress` gives from now on, for a day."""
        with _reaching():
            self.connection.set(_progress_key(job_id), json.dumps(progress), ex=KEPT_S)

    def progress(self, job_id: str) -> Json | None:
        """How far a running job says it is."""
        with _reaching():
            text = self.connection.get(_progress_key(job_id))
        return None if text is None else dict(json.loads(text))

    def recover(self) -> None:
        """Gives jobs of dead workers back to their queues; RQ itself does so within minutes only."""
        with _reaching():
            for queue in self._queues.values():
                queue.started_job_registry.cleanup()

    def workers(self, queue: str | None = None) -> list[BaseWorker]:
        """Living workers, those of a queue only if it is named."""
        with _reaching():
            every = Worker.all(connection=self.connection, serializer=JSONSerializer)
        return [worker for worker in every if queue is None or queue in worker.queue_names()]

    def counts(self) -> dict[str, dict[str, int]]:
        """Queue -> state -> jobs."""
        with _reaching():
            return {
                name: {
                    "queued": queue.count,
                    "started": queue.started_job_registry.get_job_count(cleanup=False),
                    "scheduled": queue.scheduled_job_registry.get_job_count(cleanup=False),
                    "failed": queue.failed_job_registry.get_job_count(cleanup=False),
                }
                for name, queue in self._queues.items()
            }

    def bulk_jobs(self) -> list[Job]:
        """Chunks that wait or run."""
        with _reaching():
            queue = self._queues[BULK]
            registries = (queue.started_job_registry, queue.scheduled_job_registry)
            names = [*queue.job_ids, *(name for found in registries for name in found.get_job_ids(cleanup=False))]
            return [job for name in names if (job := self._job(name)) is not None]

    @contextmanager
    def only_one(self, name: str) -> Iterator[None]:
        """Inside, nobody else is inside with the same name, on any machine; for at most 20 seconds."""
        with _reaching():
            lock = self.connection.lock(f"boxstrap:lock:{name}", timeout=20, blocking_timeout=20)
            with lock:
                yield

    def _job(self, job_id: str) -> Job | None:
        try:
            return Job.fetch(job_id, connection=self.connection, serializer=JSONSerializer)
        except NoSuchJobError:
            return None

    def _give_up(self, job: Job) -> None:
        if job.get_status(refresh=True) in NOT_STARTED:
            job.delete()


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise QueueError(
            f"Redis does not answer ({type(error).__name__}); start `boxstrap up`, or set REDIS_URL to your own server."
        ) from error


def _waits() -> list[int]:
    return [*WAITS_S, *[WAITS_S[-1]] * (MANY - len(WAITS_S))]


def _progress_key(job_id: str) -> str:
    return f"boxstrap:progress:{job_id}"


def _last_line(text: str | None) -> str:
    lines: Sequence[str] = (text or "").strip().splitlines()
    return lines[-1][:300] if lines else "no reason was given"
