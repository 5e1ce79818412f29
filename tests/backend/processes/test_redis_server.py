"""The embedded server, and who can reach it."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from backend.errors import QueueError
from backend.processes.redis_server import server_command
from backend.queueing.queue import JobQueue


def test_a_home_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(QueueError, match="too long for a socket; set BOXSTRAP_HOME to a shorter path, or REDIS_URL"):
        server_command(tmp_path / ("x" * 100))


def test_only_this_user_can_reach_the_embedded_server(queue: JobQueue) -> None:
    path = Path(queue.connection.connection_pool.connection_kwargs["path"])
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o700)
    assert isinstance(queue.connection, Redis)
    assert queue.connection.config_get("port") == {"port": "0"}
