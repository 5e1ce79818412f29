"""The embedded server, and who can reach it."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from backend.errors import QueueError
from backend.processes.redis_server import put_damaged_aside, server_command
from backend.queueing.queue import JobQueue
from tests.backend.support.embedded_redis import redis_in, short_home


def test_a_home_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(QueueError, match="too long for a socket; set BOXSTRAP_HOME to a shorter path, or REDIS_URL"):
        server_command(tmp_path / ("x" * 100))


def test_only_this_user_can_reach_the_embedded_server(queue: JobQueue) -> None:
    path = Path(queue.connection.connection_pool.connection_kwargs["path"])
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o700)
    assert isinstance(queue.connection, Redis)
    assert queue.connection.config_get("port") == {"port": "0"}


@pytest.mark.parametrize("damage", ["garbage", "no manifest", "no data"])
def test_what_the_server_cannot_read_any_more_is_put_aside_and_it_starts_again(damage: str) -> None:
    with short_home() as home:
        with redis_in(home) as queue:
            queue.connection.set("known", "1")
        assert not put_damaged_aside(home)
        folder = home / "redis" / "appendonlydir"
        written, manifest = next(folder.glob("*.incr.aof")), folder / "appendonly.aof.manifest"
        if damage == "garbage":
            written.write_bytes(b"\xff" * 100 + written.read_bytes())
        elif damage == "no data":
            written.unlink()
        else:
            manifest.write_bytes(b"x")
        assert put_damaged_aside(home)
        assert len(list((home / "redis").glob("damaged-*"))) == 1
        with redis_in(home) as queue:
            assert queue.connection.get("known") is None
