"""Jobs that are on no queue, put there by hand."""

from __future__ import annotations

from backend.queueing.messages import PreannotationChunk
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.queueing.rq_adapter import open_queue

CHUNK = PreannotationChunk("7", "v")


def test_a_job_that_a_dying_worker_had_just_taken_goes_back_at_the_second_look(
    queue: JobQueue,
) -> None:
    queue.train("run-1")
    queue.preannotate(CHUNK)
    queue.connection.lmove(f"rq:queue:{TRAIN}", f"rq:queue:{TRAIN}:intermediate")
    queue.connection.lpop(f"rq:queue:{BULK}")
    orphans = queue.requeue_orphans()
    assert [queue.counts()[name]["queued"] for name in (TRAIN, BULK)] == [0, 0]
    for _ in range(3):
        orphans = queue.requeue_orphans(orphans)
    assert [queue.counts()[name]["queued"] for name in (TRAIN, BULK)] == [1, 1]
    assert queue.connection.llen(f"rq:queue:{TRAIN}:intermediate") == 0


def test_what_was_begun_is_forgotten_as_taken(queue: JobQueue) -> None:
    queue.connection.rpush(f"rq:queue:{TRAIN}:intermediate", "gone")
    queue.requeue_orphans()
    assert queue.connection.llen(f"rq:queue:{TRAIN}:intermediate") == 0


def test_a_prediction_that_a_dying_worker_had_just_taken_goes_back_at_the_second_look(queue: JobQueue) -> None:
    job = open_queue(PREDICT, queue.connection).enqueue("a.b")
    queue.connection.lmove(f"rq:queue:{PREDICT}", f"rq:queue:{PREDICT}:intermediate")
    taken = queue.requeue_taken_predictions()
    assert (taken, queue.counts()[PREDICT]["queued"]) == ({job.id}, 0)
    assert queue.requeue_taken_predictions(taken) == set()
    assert queue.counts()[PREDICT]["queued"] == 1
    assert queue.connection.llen(f"rq:queue:{PREDICT}:intermediate") == 0


def test_a_prediction_that_a_dead_worker_had_just_taken_goes_back_at_once(queue: JobQueue) -> None:
    open_queue(PREDICT, queue.connection).enqueue("a.b")
    queue.connection.lmove(f"rq:queue:{PREDICT}", f"rq:queue:{PREDICT}:intermediate")
    queue.declare_dead("host", 1)
    assert queue.counts()[PREDICT]["queued"] == 1
