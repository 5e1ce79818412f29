"""Calls that wait long have threads of their own, a bounded number, in any event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.errors import BusyError
from backend.queueing.queue import PREDICT
from backend.web.thread_limiter import MAX_THREADS, ThreadLimiter
from tests.backend.web.serving import CONFIG, Site, one_each, predict_worker, serving_with, task


def test_it_works_in_one_event_loop_after_the_other() -> None:
    limiter = ThreadLimiter(max_threads=1)
    assert [asyncio.run(limiter.run(lambda: 7)) for _ in range(3)] == [7, 7, 7]


def test_work_that_has_begun_is_never_given_up() -> None:
    assert asyncio.run(ThreadLimiter(wait_s=0.01).run(lambda: time.sleep(0.1) or "done")) == "done"


def test_an_error_comes_through_and_gives_the_thread_back() -> None:
    limiter = ThreadLimiter(max_threads=1)

    def fail() -> None:
        raise ValueError("as it was")

    for _ in range(2):
        with pytest.raises(ValueError, match="as it was"):
            asyncio.run(limiter.run(fail))


def test_who_finds_no_thread_in_time_is_told_so() -> None:
    limiter, leave = ThreadLimiter(max_threads=1, wait_s=0.05), threading.Event()

    async def two() -> tuple[bool, str]:
        first = asyncio.create_task(limiter.run(lambda: leave.wait(10)))
        await asyncio.sleep(0.01)
        try:
            await limiter.run(lambda: "never run")
        except BusyError as error:
            said = str(error)
        leave.set()
        return await first, said

    sat, said = asyncio.run(two())
    assert sat
    assert "1 predictions are being waited for" in said


@pytest.mark.slow
def test_waiting_predictions_leave_threads_for_everything_else(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    body = {"tasks": [task(1)], "project": "7", "label_config": CONFIG}
    with serving_with(site, predict_timeout_s=15) as patient, ThreadPoolExecutor(MAX_THREADS + 8) as pool:
        waiting = [pool.submit(patient.post, "/predict", body) for _ in range(MAX_THREADS + 8)]
        while patient.queue.counts()[PREDICT]["queued"] < MAX_THREADS:
            time.sleep(0.01)
        patient.set_up()
        assert patient.client.get("/api/projects").status_code == 200
        assert not any(answer.done() for answer in waiting)
        with predict_worker(site.queue, one_each):
            assert {answer.result().status_code for answer in waiting} == {200}
