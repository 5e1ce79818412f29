"""An installation with an empty, real Redis, and people who say things in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.ledger_rows import LedgerRow, Outcome
from backend.storage.projects import Project
from backend.wiring import Parts, build
from tests.backend.support.embedded_redis import redis_in, short_home

Say = Callable[..., None]


@pytest.fixture(scope="session")
def redis_queue() -> Iterator[JobQueue]:
    with short_home() as home, redis_in(home) as queue:
        yield queue


@pytest.fixture
def settings(redis_queue: JobQueue, tmp_path: Path) -> Settings:
    """With a Label Studio that nobody calls: a worker would."""
    redis_queue.connection.flushall()
    return Settings(
        home=tmp_path,
        redis_url=f"unix://{redis_queue.connection.config_get('dir')['dir']}/socket",
        label_studio_url="http://studio.test",
        label_studio_api_key="k",
    )


@pytest.fixture
def parts(settings: Settings) -> Parts:
    """With a project 7 that was set up."""
    parts = build(settings)
    parts.stores.projects.remember(Project("7", "<View/>"))
    return parts


@pytest.fixture
def say(parts: Parts) -> Say:
    """Lets people say something of the tasks with these numbers."""

    def say(
        *tasks: int, outcome: str = "corrected", label: str = "fish", project: str = "7", digest: str = "a"
    ) -> None:
        known = LedgerRow(0, Outcome(outcome), (label,), digest=f"{digest}{outcome}{label}")
        parts.stores.feedback.put(project, [replace(known, task=task) for task in tasks])

    return say
