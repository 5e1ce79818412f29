"""Worker processes, as the queue sees them, and what they log."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import BusyError
from backend.queueing.messages import PredictionRequest
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.storage.stores import Stores
from backend.storage.version_facts import VersionFacts
from tests.backend.support.fake_project import CONFIG, PROJECT
from tests.backend.support.real_services import Workers, wait_for


def test_workers_are_listed_by_what_they_work_on(queue: JobQueue, workers: Workers) -> None:
    assert queue.workers() == []
    pids = {workers.start("train"), workers.start("predict")}
    wait_for(lambda: len(queue.workers()) == 2)
    assert {worker.pid for worker in queue.workers()} == pids
    assert [len(queue.workers(name)) for name in (TRAIN, PREDICT, BULK)] == [1, 1, 1]


def test_an_idle_worker_is_listed_again_by_a_redis_that_forgot_it(queue: JobQueue, workers: Workers) -> None:
    workers.start("train")
    wait_for(lambda: queue.workers(TRAIN))
    queue.connection.flushall()
    wait_for(lambda: queue.workers(TRAIN), 10)


def test_no_argument_of_a_job_is_logged(
    queue: JobQueue, stores: Stores, model: Path, workers: Workers, environment: dict[str, str]
) -> None:
    version = stores.models.publish(PROJECT, model, VersionFacts(run="a"))
    environment["LOG_LEVEL"] = "DEBUG"
    workers.start("predict")
    signed = {"id": 1, "data": {"image": "https://127.0.0.1:9/a.png?signature=SECRET"}, "annotations": []}
    assert queue.predict(PredictionRequest(PROJECT, version, CONFIG, [signed]), 30)[0]["result"] == []
    with pytest.raises(BusyError):
        queue.predict(PredictionRequest(PROJECT, "SECRETLY-missing", CONFIG, [signed]), 30)
    assert "predict 1 tasks of project 7" in wait_for(workers.log)
    assert "signature" not in workers.log()
    assert f"{PROJECT}/1" not in workers.log()
