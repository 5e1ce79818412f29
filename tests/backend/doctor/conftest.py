"""What the tests of the doctor share: a Redis that runs, a Label Studio that answers, and settings that name both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.queueing.queue import JobQueue
from backend.settings import Settings
from tests.backend.doctor.expectations import LEGACY
from tests.backend.support.embedded_redis import redis_in, short_home
from tests.backend.support.fake_label_studio import FakeLabelStudio, fake_label_studio


@pytest.fixture(scope="session")
def queue() -> Iterator[JobQueue]:
    with short_home() as home, redis_in(home) as queue:
        yield queue


@pytest.fixture
def home(queue: JobQueue) -> Path:
    """The home whose Redis runs, with nothing in it."""
    queue.connection.flushall()
    return Path(str(queue.connection.config_get("dir")["dir"])).parent


@pytest.fixture
def studio() -> Iterator[FakeLabelStudio]:
    with fake_label_studio() as studio:
        yield studio


@pytest.fixture
def settings(home: Path, studio: FakeLabelStudio) -> Settings:
    return Settings(home=home, label_studio_url=studio.url, label_studio_api_key=LEGACY, backbone="tiny", device="cpu")
