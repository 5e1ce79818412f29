"""Put jobs that are on no queue, or that dead workers hold, back on their queues."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet

import redis
from rq import Queue

from backend.queueing import rq_adapter


def requeue_abandoned(queues: Collection[Queue]) -> None:
    """Put jobs of dead workers back on their queues."""
    for queue in queues:
        rq_adapter.requeue_abandoned(queue)


def requeue_orphans(connection: redis.Redis, queues: Collection[Queue], seen_before: AbstractSet[str]) -> set[str]:
    """Put jobs that wait, but on no queue, back on theirs: a worker died between taking and beginning them.

    A living worker needs a moment for that too, so only those `seen_before` are put back.

    Returns: the orphans that were seen for the first time.
    """
    orphans: set[str] = set()
    queue_names = rq_adapter.queues_of_queued_jobs(connection)
    for queue in queues:
        for job_id in rq_adapter.taken_jobs(queue) - queue_names.keys():  # begun meanwhile, by another worker
            rq_adapter.forget_taken(queue, job_id)
        placed = {*queue.job_ids, *queue.started_job_registry.get_job_ids(cleanup=False)}
        found = {job_id for job_id, name in queue_names.items() if name == queue.name} - placed
        for job_id in found & seen_before:
            rq_adapter.forget_taken(queue, job_id)
            queue.push_job_id(job_id)
        orphans |= found - seen_before
    return orphans


def requeue_taken(queue: Queue, seen_before: AbstractSet[str]) -> set[str]:
    """Put jobs back that were taken from the queue, but are not begun though they were `seen_before`.

    Quicker than `requeue_orphans`, since it looks at no other jobs, and sooner: for a queue where a job that a slow
    worker begins after all may run twice.

    Returns: those that were seen for the first time.
    """
    taken = rq_adapter.taken_jobs(queue)
    for job_id in taken & seen_before:
        rq_adapter.forget_taken(queue, job_id)
        queue.push_job_id(job_id)
    return taken - seen_before
