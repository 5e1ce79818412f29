"""Which errors of a job are tried again, and how long."""

from __future__ import annotations

import pytest
from rq.job import Job, Retry
from rq.serializers import JSONSerializer

from backend.errors import ImageNotNowError, LabelStudioError, QueueError, UnreachableError
from backend.jobs import retrying as attempts
from backend.jobs.retrying import MOST, retried, wait_turn
from backend.queueing.queue import JobQueue


@pytest.fixture
def job(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> Job:
    """The job that is being worked on."""
    queue.train("run-1")
    job = Job.fetch("run-1", connection=queue.connection, serializer=JSONSerializer)
    monkeypatch.setattr(attempts, "get_current_job", lambda: job)
    return job


@pytest.mark.parametrize("error", [UnreachableError("x"), ImageNotNowError("x"), QueueError("x")])
def test_what_helps_to_try_again_is_tried_again_and_deaths_still_count_apart(job: Job, error: Exception) -> None:
    deaths_left = job.retries_left

    @retried
    def fails() -> None:
        raise error

    retry = fails()
    assert isinstance(retry, Retry)
    assert [Retry.get_interval(count, retry.intervals) for count in (0, 1, 6, 99)] == [1, 5, 300, 300]
    assert job.retries_left == deaths_left


@pytest.mark.parametrize(("error", "attempts_so_far"), [(LabelStudioError("x"), 0), (UnreachableError("x"), MOST)])
def test_all_else_and_what_failed_for_a_day_ends_the_job(job: Job, error: Exception, attempts_so_far: int) -> None:
    job.number_of_retries = attempts_so_far

    @retried
    def fails() -> None:
        raise error

    with pytest.raises(type(error)):
        fails()
    assert job.retries_left == 0


def test_waiting_for_a_turn_is_no_failed_attempt(job: Job) -> None:
    job.number_of_retries = 50
    assert wait_turn(2).intervals == [2]
    assert job.number_of_retries == 0
