"""An installation with a real Redis, for commands that talk to the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.queueing.queue import JobQueue
from backend.wiring import Parts
from tests.backend.support.embedded_redis import empty_installation, redis_in, short_home


@pytest.fixture(scope="module")
def queue() -> Iterator[JobQueue]:
    with short_home() as home, redis_in(home) as queue:
        yield queue


@pytest.fixture
def parts(queue: JobQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    """An empty installation whose Redis runs."""
    return empty_installation(queue, tmp_path, monkeypatch)
