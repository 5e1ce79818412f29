"""Machines that share nothing but an S3 bucket and a Redis over TLS: one serves and predicts, others train."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.queueing.connection import where
from backend.queueing.messages import PredictionRequest
from backend.queueing.queue import PREDICT, JobQueue
from backend.settings import Settings
from tests.backend.support.embedded_redis import short_home
from tests.backend.support.fake_project import CONFIG, PROJECT
from tests.backend.support.real_services import Nursery, Workers, queue_of, wait_for
from tests.backend.support.tls_redis import PASSWORD, tls_redis
from tests.backend.support.trainings import Trainings, beginnings
from tests.label_studio.servers import s3_variables

pytestmark = pytest.mark.slow
EVERY_EPOCH = """
from wsol_core.training import checkpoint
from backend.storage import shared_runs
checkpoint.CHECKPOINT_SHARE = 0  # saving takes longer than these epochs
shared_runs.EVERY_S = 0.5
"""
TASK = {"id": 1, "data": {"image": f"/data/upload/{PROJECT}/0.jpg"}, "annotations": []}


@pytest.fixture
def redis_address() -> Iterator[str]:
    with short_home() as home, tls_redis(home) as address:
        yield address


@pytest.fixture
def environment(environment: dict[str, str], redis_address: str, s3_url: str, s3_endpoint: str) -> dict[str, str]:
    return {**environment, "REDIS_URL": redis_address, "MODEL_DIR": s3_url, **s3_variables(s3_endpoint)}


@pytest.fixture
def queue(redis_address: str) -> Iterator[JobQueue]:
    with queue_of(Settings(redis_url=redis_address)) as queue:
        yield queue


def test_a_training_survives_the_death_of_its_machine_and_is_predicted_with_on_another(
    trainings: Trainings,
    nursery: Nursery,
    workers: Workers,
    environment: dict[str, str],
    settings: Settings,
    tmp_path: Path,
    janitor: None,
) -> None:
    stores, machines = trainings.stores, [tmp_path / "second", tmp_path / "third"]
    second, third = (
        Workers(nursery, {**environment, "BOXSTRAP_HOME": str(home)}, tmp_path / f"{home.name}.log")
        for home in machines
    )
    try:
        worker = second.start("train", before=EVERY_EPOCH)
        run_id = trainings.start(epochs=10)
        before = trainings.reaches_epoch(run_id, 2)
        wait_for(lambda: f"run-files/{run_id}/model.tar" in stores.runs._bucket.tags("run-files/"))  # type: ignore[attr-defined]
        second.kill(worker)
        shutil.rmtree(machines[0])
        third.start("train", before=EVERY_EPOCH)
        trainings.forget_progress(run_id)
        assert trainings.reaches_epoch(run_id, 1) >= (before[0], 1)
        run = trainings.ends(run_id)
        assert beginnings(third, run_id) == (0, 1)  # from the checkpoint of the machine that is gone
        assert (trainings.versions(), stores.models.current(PROJECT)) == ([run.version], run.version)
        assert run.version is not None
        request = PredictionRequest(PROJECT, run.version, CONFIG, [TASK])
        for _ in range(2):
            predicting = workers.start("predict")
            wait_for(lambda: trainings.queue.workers(PREDICT))
            assert trainings.queue.predict(request, 60)[0]["model_version"] == run.version
            workers.kill(predicting)
        assert not any(name.startswith("run-files/") for name in stores.runs._bucket.tags(""))  # type: ignore[attr-defined]
    finally:
        for machine in (second, third):
            machine.end()
            sys.stderr.write(machine.log())
    assert PASSWORD not in where(settings)


def test_a_redis_whose_certificate_nobody_trusts_is_not_used(redis_address: str) -> None:
    from backend.errors import QueueError

    with queue_of(Settings(redis_url=redis_address.partition("?")[0])) as queue, pytest.raises(QueueError):
        queue.ping()
