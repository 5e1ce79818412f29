"""Pictures and a model, both tiny and made once; a real Redis, empty for each test; and what a training needs."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.cli import main
from backend.queueing.janitor import Janitor
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.stores import Stores, open_stores
from tests.backend.support.command_line import SMALL
from tests.backend.support.fake_project import FakeLabelStudio
from tests.backend.support.real_services import Nursery, RedisServer, Workers, queue_of
from tests.backend.support.trainings import Trainings
from tests.label_studio.servers import S3_PROGRAM, installed, s3, s3_variables
from tests.local_http import answering


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """A worker that runs in the test's own process leaves its handlers behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn pictures of the classes ladybird and fish, two of them for testing."""
    folder = tmp_path_factory.mktemp("drawn") / "pictures"
    assert main(["draw", str(folder), "--classes", "2", "--images", "12", "--json"]) == 0
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A model that has hardly learned anything."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    assert main(["train", str(pictures), "--out", str(folder), "--epochs", "1", "--json", *SMALL]) == 0
    return folder


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    # A socket's path has to be short, and pytest's own folders are not.
    home = Path(tempfile.mkdtemp(prefix="boxstrap-"))
    server = RedisServer(home)
    server.start()
    yield server
    server.kill()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def queue(redis_server: RedisServer) -> Iterator[JobQueue]:
    """The queues, empty."""
    with queue_of(Settings(redis_url=redis_server.url)) as queue:
        queue.connection.flushall()
        yield queue


@pytest.fixture
def label_studio(pictures: Path) -> Iterator[FakeLabelStudio]:
    """A server with a project 7 of ten labelled pictures."""
    server = FakeLabelStudio(pictures)
    with answering(server.answer) as server.url:
        yield server


@pytest.fixture
def environment(tmp_path: Path, redis_server: RedisServer, label_studio: FakeLabelStudio) -> dict[str, str]:
    """The environment variables of workers."""
    return {
        "BOXSTRAP_HOME": str(tmp_path / "home"),
        "REDIS_URL": redis_server.url,
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.token,
        "BOXSTRAP_BACKBONE": "tiny",
        "DEVICE": "cpu",
        "PREANNOTATE": "0",
        "IMAGE_TIMEOUT": "5",
    }


@pytest.fixture
def settings(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same settings for this process, where callbacks read the environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings.from_env(environment)


@pytest.fixture
def stores(settings: Settings) -> Stores:
    return open_stores(settings)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.end()


@pytest.fixture
def workers(nursery: Nursery, environment: dict[str, str], tmp_path: Path, queue: JobQueue) -> Iterator[Workers]:
    """Starts workers; all that are left end with the test, and their log is shown where it fails."""
    workers = Workers(nursery, environment, tmp_path / "workers.log")
    yield workers
    workers.end()
    sys.stderr.write(workers.log())


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3 endpoint without a bucket; its address."""
    with s3(installed(S3_PROGRAM), tmp_path_factory.mktemp("s3") / "log") as endpoint:
        yield endpoint


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty folder of a new bucket there, which this process has the keys of."""
    for name, value in s3_variables(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid.uuid4().hex}"
    httpx.put(f"{s3_endpoint}/{name}", trust_env=False).raise_for_status()
    return f"s3://{name}/boxstrap"


@pytest.fixture
def trainings(queue: JobQueue, stores: Stores, settings: Settings) -> Trainings:
    return Trainings(queue, stores, settings)


@pytest.fixture
def janitor(queue: JobQueue, stores: Stores) -> Iterator[None]:
    """A janitor at work in this process."""
    with Janitor(queue, stores.runs):
        yield
