"""Redis dies in the middle of things and comes back; what was accepted is done, once."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.processes.redis_server import server_command
from backend.processes.supervisor import Child
from backend.queueing.janitor import Janitor
from backend.settings import Settings
from backend.storage.stores import Stores
from tests.backend.support.real_services import RedisServer, Workers, is_running, pid_of, queue_of, supervised, wait_for
from tests.backend.support.trainings import MEDIUM, SHORT, Trainings, beginnings


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path, for the socket."""
    folder = Path(tempfile.mkdtemp(prefix="boxstrap-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_trainings_survive_a_redis_that_is_killed_and_started_again(
    home: Path, settings: Settings, stores: Stores, environment: dict[str, str], workers: Workers
) -> None:
    server = RedisServer(home)
    environment["REDIS_URL"] = server.url
    redis = Child("redis", server_command(home), server.answers)
    with queue_of(Settings(redis_url=server.url)) as queue, supervised([redis]):
        trainings = Trainings(queue, stores, settings)
        with Janitor(queue, stores.runs):
            worker = workers.start()
            running, waiting = trainings.start(2 * MEDIUM), trainings.start(SHORT)
            before = trainings.reaches_epoch(running, 3)
            begun = trainings.now(running).begun
            os.kill(pid_of(redis), signal.SIGKILL)
            wait_for(server.answers)
            assert trainings.reaches_epoch(running, 1) >= before
            first, second = trainings.ends(running), trainings.ends(waiting)
        assert trainings.versions() == [first.version, second.version]
        assert (first.begun, is_running(worker)) == (begun, True)  # it went on all the time


def test_a_training_that_ends_while_redis_is_away_counts(
    home: Path,
    settings: Settings,
    stores: Stores,
    environment: dict[str, str],
    workers: Workers,
    request: pytest.FixtureRequest,
) -> None:
    server = RedisServer(home)
    server.start()
    request.addfinalizer(server.kill)
    environment["REDIS_URL"] = server.url
    with queue_of(Settings(redis_url=server.url)) as queue, Janitor(queue, stores.runs):
        trainings = Trainings(queue, stores, settings)
        worker = workers.start()
        run_id = trainings.start(MEDIUM)
        trainings.reaches_epoch(run_id, 1)
        server.kill()
        run = trainings.ends(run_id)
        server.start()
        wait_for(lambda: queue.status(run_id) == "finished")
        assert (trainings.versions(), beginnings(workers, run_id)) == ([run.version], (1, 0))
        following = trainings.ends(trainings.start())
        assert (trainings.versions(), is_running(worker)) == ([run.version, following.version], True)
