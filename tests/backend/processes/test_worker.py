"""Worker processes, as the queue sees them, and what they log."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.errors import BusyError
from backend.queueing.messages import PredictionRequest
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.storage.stores import Stores
from backend.storage.version_facts import VersionFacts
from tests.backend.support.fake_project import CONFIG, PROJECT, FakeLabelStudio
from tests.backend.support.real_services import Workers, is_running, wait_for

UNREACHABLE = {"id": 1, "data": {"image": "https://127.0.0.1:9/a.png"}, "annotations": []}
DIES = """
import os
from backend.jobs import predict
predict.predict_each = lambda *_: os.kill(os.getpid(), 9)
"""


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


def test_a_prediction_whose_worker_is_killed_is_made_by_another_one(
    queue: JobQueue, stores: Stores, model: Path, workers: Workers, janitor: None
) -> None:
    version = stores.models.publish(PROJECT, model, VersionFacts(run="a"))
    first = workers.start("predict", DIES)
    wait_for(lambda: queue.workers(PREDICT))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(queue.predict, PredictionRequest(PROJECT, version, CONFIG, [UNREACHABLE]), 90)
        wait_for(lambda: not is_running(first))
        workers.start("predict")
        assert [each["model_version"] for each in answer.result(90)] == [version]


def test_a_label_studio_that_is_silent_keeps_nobody_waiting_for_a_prediction(
    queue: JobQueue, stores: Stores, model: Path, workers: Workers, environment: dict[str, str]
) -> None:
    version = stores.models.publish(PROJECT, model, VersionFacts(run="a"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment["LABEL_STUDIO_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        workers.start("guarded predict")
        queue.begin_preannotation(PROJECT, version)
        wait_for(lambda: queue.counts()[BULK]["started"] == 1)
        assert queue.predict(PredictionRequest(PROJECT, version, CONFIG, [UNREACHABLE]), 20)[0]["result"] == []
        assert queue.counts()[BULK]["started"] == 1


def test_a_damaged_version_is_not_predicted_with_but_the_newest_whole_one(
    queue: JobQueue, stores: Stores, model: Path, workers: Workers
) -> None:
    older, live = (stores.models.publish(PROJECT, model, VersionFacts(run=run)) for run in ("a", "b"))
    weights = stores.models.folder(PROJECT, live) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    workers.start("predict")
    found = queue.predict(PredictionRequest(PROJECT, live, CONFIG, [UNREACHABLE]), 60)
    assert found[0]["model_version"] == older == stores.models.current(PROJECT)
    assert any("CURRENT" in notice and older in notice for notice in stores.damage.notices())


def test_jobs_that_find_nothing_new_leave_the_log_as_it_is(
    queue: JobQueue, workers: Workers, label_studio: FakeLabelStudio
) -> None:
    workers.start("predict")
    for _ in range(3):
        queue.sync_annotations(PROJECT)
        wait_for(lambda: queue.status(f"observe-{PROJECT}") == "finished")
    lines = [line for line in workers.log().splitlines() if "people said something new" not in line]
    assert len(lines) == 1, lines  # that it waits for jobs


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
