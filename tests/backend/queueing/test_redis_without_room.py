"""Redis answers, but takes no writes for a while; everybody waits, says so once, and goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from backend.errors import RedisFullError
from backend.processes.redis_server import put_damaged_aside
from backend.queueing.connection import redis_errors, require_writes
from backend.queueing.janitor import Janitor
from backend.queueing.messages import PredictionRequest
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.settings import Settings
from backend.storage.stores import Stores
from backend.storage.version_facts import VersionFacts
from tests.backend.support.embedded_redis import redis_in
from tests.backend.support.fake_project import CONFIG, PROJECT
from tests.backend.support.real_services import RedisServer, Workers, is_running, queue_of, wait_for
from tests.backend.support.small_disk import SmallDisk, small_disk
from tests.backend.support.trainings import MEDIUM, Trainings

TASK = {"id": 1, "data": {"image": "https://127.0.0.1:9/a.png"}, "annotations": []}


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """Of a whole installation."""
    with small_disk() as disk:
        yield disk


def refused(queue: JobQueue) -> bool:
    try:
        require_writes(queue.connection)
    except RedisFullError:
        return True
    return False


@contextmanager
def memory_full(queue: JobQueue) -> Iterator[None]:
    queue.connection.config_set("maxmemory", 1)
    yield
    queue.connection.config_set("maxmemory", 0)


@contextmanager
def no_replica(queue: JobQueue) -> Iterator[None]:
    queue.connection.config_set("min-replicas-to-write", 1)
    yield
    queue.connection.config_set("min-replicas-to-write", 0)


@pytest.mark.slow
@pytest.mark.parametrize("without_room", [memory_full, no_replica])
def test_trainings_and_predictions_go_on_as_soon_as_redis_takes_writes_again(
    queue: JobQueue,
    stores: Stores,
    model: Path,
    trainings: Trainings,
    workers: Workers,
    janitor: None,
    without_room: Callable[[JobQueue], AbstractContextManager[None]],
) -> None:
    version = stores.models.publish(PROJECT, model, VersionFacts(run="a"))
    pids = [workers.start("train"), workers.start("guarded predict")]
    wait_for(lambda: all(queue.workers(name) for name in (TRAIN, PREDICT, BULK)))
    run_id = trainings.start(2 * MEDIUM)
    trainings.reaches_epoch(run_id, 1)
    request = PredictionRequest(PROJECT, version, CONFIG, [TASK])
    with without_room(queue):
        with pytest.raises(RedisFullError, match=r"Redis takes no writes .* Make room"):
            queue.predict(request, 5)
        time.sleep(3)
    assert len(queue.predict(request, 20)) == 1
    run = trainings.ends(run_id)
    assert trainings.versions() == [version, run.version]
    assert (run.starts, all(map(is_running, pids))) == (1, True)
    log = workers.log()
    assert ("Traceback" in log, "died" in log) == (False, False)
    assert log.count("waits for Redis") <= 3


def test_a_training_that_ends_meanwhile_is_published_once(
    queue: JobQueue, trainings: Trainings, workers: Workers, janitor: None
) -> None:
    worker = workers.start()
    run_id = trainings.start(MEDIUM)
    trainings.reaches_epoch(run_id, 1)
    with memory_full(queue):
        run = trainings.ends(run_id)
        wait_for(lambda: "waits for Redis" in workers.log())
    wait_for(lambda: queue.status(run_id) == "finished")
    following = trainings.ends(trainings.start())
    assert (trainings.versions(), is_running(worker)) == ([run.version, following.version], True)
    assert "Traceback" not in workers.log()


def test_a_full_disk_of_redis_keeps_what_was_accepted(
    disk: SmallDisk, settings: Settings, stores: Stores, environment: dict[str, str], workers: Workers
) -> None:
    server = RedisServer(disk.path)
    server.start()
    environment["REDIS_URL"] = server.url
    try:
        with queue_of(Settings(redis_url=server.url)) as queue, Janitor(queue, stores.runs):
            trainings = Trainings(queue, stores, settings)
            workers.start()
            running, waiting = trainings.start(MEDIUM), trainings.start()
            trainings.reaches_epoch(running, 1)
            disk.fill()
            wait_for(lambda: refused(queue))
            time.sleep(2)
            disk.make_room()
            first, second = trainings.ends(running), trainings.ends(waiting)
            assert trainings.versions() == [first.version, second.version]
            assert "Traceback" not in workers.log()
    finally:
        server.kill()


def test_what_redis_kept_is_not_taken_for_damaged_where_the_disk_is_full(disk: SmallDisk) -> None:
    with redis_in(disk.path) as queue:
        queue.connection.set("known", "1")
    disk.fill()
    assert not put_damaged_aside(disk.path)
    disk.make_room()
    with redis_in(disk.path) as queue:
        assert queue.connection.get("known") == b"1"


def test_the_reason_shows_no_arguments_of_a_command(queue: JobQueue) -> None:
    with memory_full(queue), queue.connection.pipeline() as pipeline:
        pipeline.hset("a", "address", "https://host/a?signature=SECRET)")
        with pytest.raises(RedisFullError) as raised, redis_errors():
            pipeline.execute()
    assert "SECRET" not in str(raised.value)
    assert "maxmemory" in str(raised.value)
