"""A real server for tests, started as `boxstrap up` starts it, in a folder whose path is short enough for a socket."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.errors import QueueError
from backend.processes.redis_server import server_command
from backend.queueing.connection import connect
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.wiring import Parts, build


@contextmanager
def short_home() -> Iterator[Path]:
    """A BOXSTRAP_HOME that is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="bx-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def redis_in(home: Path) -> Iterator[JobQueue]:
    """The queues of an embedded server in `home`, which ends with the block."""
    process = subprocess.Popen(server_command(home), stdout=subprocess.DEVNULL)
    try:
        queue = JobQueue(connect(Settings(home=home)))
        deadline = time.monotonic() + 20
        while True:
            try:
                queue.ping()
                break
            except QueueError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.02)
        yield queue
        queue.connection.close()
    finally:
        process.terminate()
        process.wait(timeout=10)


def empty_installation(queue: JobQueue, home: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    """What the environment names from now on: nothing in `home`, and the emptied Redis of `queue`."""
    queue.connection.flushall()
    monkeypatch.delenv("MODEL_DIR", raising=False)
    monkeypatch.setenv("BOXSTRAP_HOME", str(home))
    monkeypatch.setenv("REDIS_URL", f"unix://{queue.connection.config_get('dir')['dir']}/socket")
    return build(Settings.from_env())
