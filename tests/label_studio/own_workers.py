"""Workers of a test's own beside a real Label Studio: they can be killed, and run Python of the test's first."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backend.queueing.janitor import Janitor
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.stores import Stores, open_stores
from tests.backend.support.real_services import Nursery, RedisServer, Workers, queue_of
from tests.label_studio.conftest import Place


@dataclass(frozen=True)
class Workshop:
    """An installation without a web service: a Redis, a janitor, and whatever workers are started."""

    settings: Settings
    stores: Stores
    queue: JobQueue
    workers: Workers


@contextmanager
def workshop(place: Place, nursery: Nursery) -> Iterator[Workshop]:
    """Ends everything it has started, and shows the workers' log where a test fails."""
    with tempfile.TemporaryDirectory(prefix="bx") as folder:
        home = Path(folder)
        redis = RedisServer(home)
        redis.start()
        environment = {
            "BOXSTRAP_HOME": folder,
            "REDIS_URL": redis.url,
            "LABEL_STUDIO_URL": place.label_studio.url,
            "LABEL_STUDIO_API_KEY": place.token,
            "BOXSTRAP_BACKBONE": "tiny",
            "DEVICE": "cpu",
            "IMAGE_HOSTS": "127.0.0.1",
            "MODEL_SCORE_THRESHOLD": "0",  # of models trained for a moment nothing would be worth showing
        }
        settings = Settings.from_env(environment)
        workers, stores = Workers(nursery, environment, home / "workers.log"), open_stores(settings)
        with queue_of(settings) as queue, Janitor(queue, stores.runs):
            try:
                yield Workshop(settings, stores, queue, workers)
            finally:
                sys.stderr.write(workers.log()[-20000:])
                workers.end()
                redis.kill()
