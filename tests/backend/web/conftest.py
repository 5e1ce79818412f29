"""One server and one Redis for all tests of the web application; no project, run, version or job before each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from backend.settings import Settings
from tests.backend.support.embedded_redis import redis_in, short_home
from tests.backend.web.serving import Site, serving


@pytest.fixture(scope="session")
def _site() -> Iterator[Site]:
    with short_home() as home:
        settings = Settings(home=home, predict_timeout_s=1, max_tasks=100, max_body_mb=2)
        with redis_in(home), serving(settings) as site:
            yield site


@pytest.fixture
def site(_site: Site) -> Site:
    for name in ("projects", "runs", "models", "pictures", "policies", "galleries"):
        shutil.rmtree(_site.settings.home / name, ignore_errors=True)
    (_site.settings.home / "feedback.sqlite").unlink(missing_ok=True)
    _site.queue.connection.flushall()
    _site.client.headers.pop("authorization", None)
    return _site
