"""Jobs that are on no queue, or that dead workers hold, go back to where they came from. Works on RQ's own records."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet

import redis
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.timeouts import BaseDeathPenalty
from rq.utils import as_text


def recover(queues: Collection[Queue]) -> None:
    """Gives jobs of dead workers back to their queues."""
    for queue in queues:
        StartedJobRegistry(queue=queue, death_penalty_class=_NoTimeLimit).cleanup()


def requeue_orphans(connection: redis.Redis, queues: Collection[Queue], seen_before: AbstractSet[str]) -> set[str]:
    """Puts jobs that wait, but on no queue, back on theirs: a worker died between taking and beginning them.

    A living worker needs a moment for that too, so only those `seen_before` are put back.
    Returns: the strays of now.
    """
    strays: set[str] = set()
    origins = _origins_of_queued_jobs(connection)
    for queue in queues:
        taken = {as_text(job_id) for job_id in connection.lrange(queue.intermediate_queue_key, 0, -1)}
        for job_id in taken - origins.keys():  # begun meanwhile, by another worker
            connection.lrem(queue.intermediate_queue_key, 1, job_id)
        placed = {*queue.job_ids, *queue.started_job_registry.get_job_ids(cleanup=False)}
        here = {job_id for job_id, origin in origins.items() if origin == queue.name} - placed
        for job_id in here & seen_before:
            connection.lrem(queue.intermediate_queue_key, 0, job_id)
            queue.push_job_id(job_id)
        strays |= here - seen_before
    return strays


def _origins_of_queued_jobs(connection: redis.Redis) -> dict[str, str]:
    """Job -> its queue, of all that count as queued, on a queue or not."""
    prefix = Job.redis_job_namespace_prefix
    keys = [as_text(key) for key in connection.scan_iter(f"{prefix}*", count=1000, _type="hash")]
    with connection.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hmget(key, "status", "origin")
        found = pipeline.execute()
    return {
        key.removeprefix(prefix): as_text(origin)
        for key, (status, origin) in zip(keys, found, strict=True)
        if origin is not None and status is not None and as_text(status) == JobStatus.QUEUED.value
    }


class _NoTimeLimit(BaseDeathPenalty):
    """For callbacks in a janitor's thread, where RQ's signals cannot be set: no dead job would be recovered."""

    def setup_death_penalty(self) -> None:
        pass

    def cancel_death_penalty(self) -> None:
        pass
