"""The way to Redis or Valkey: the user's own, or the embedded one's socket. Starting that is redis_server.py's."""

from __future__ import annotations

from pathlib import Path

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from backend.errors import QueueError
from backend.settings import Settings

LONGEST_SOCKET_PATH = 100  # bytes; the system takes 107


def socket_path(home: Path) -> Path:
    """Where the embedded server listens; QueueError where the system cannot take so long a path."""
    path = home / "redis" / "socket"
    if len(str(path).encode()) > LONGEST_SOCKET_PATH:
        raise QueueError(f"{path} is too long for a socket; set BOXSTRAP_HOME to a shorter path, or REDIS_URL.")
    return path


def redis_url(settings: Settings) -> str:
    """What every process of one installation connects to."""
    return settings.redis_url or f"unix://{socket_path(settings.home)}"


def connect(settings: Settings) -> redis.Redis:
    """A connection that waits longer than any answer is waited for, and survives a restart of the server."""
    # Blocking reads end with an error after socket_timeout: it has to be longer than the longest of them.
    url, wait_s = redis_url(settings), settings.predict_timeout_s + 10
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=wait_s,
            socket_connect_timeout=5,
            health_check_interval=30,
            retry=Retry(ConstantBackoff(0.05), 2),  # a connection that a restart of the server has cut
        )
    except ValueError as error:
        raise QueueError(f"REDIS_URL cannot be used: {error}; write redis://[:password@]host:port/0.") from error


def where(settings: Settings) -> str:
    """The address without its password, for messages."""
    url = redis_url(settings)
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
