"""What is recorded when a job's process has died."""

from __future__ import annotations

import pytest
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from backend.queueing.queue import TRAIN, JobQueue
from backend.storage.stores import Stores


def test_a_dead_run_without_a_record_does_not_keep_others_from_being_recovered(
    queue: JobQueue, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    run = stores.runs.create("7", {})
    for run_id in ("7-never", run.id):
        queue.train(run_id)
        abandon(queue, run_id)
    queue.requeue_abandoned()
    assert "run 7-never: its end is not recorded" in caplog.text
    assert stores.runs.read(run.id).reason == "Its worker died; another one goes on from the last checkpoint."
    assert [queue.status(run_id) for run_id in ("7-never", run.id)] == ["queued", "queued"]


def abandon(queue: JobQueue, run_id: str) -> None:
    """As if a worker had died long ago while it ran the job."""
    Job.fetch(run_id, connection=queue.connection, serializer=JSONSerializer).set_status(JobStatus.STARTED)
    queue.connection.lrem(f"rq:queue:{TRAIN}", 0, run_id)
    queue.connection.zadd(f"rq:wip:{TRAIN}", {f"{run_id}:execution": 1})
