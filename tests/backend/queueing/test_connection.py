"""Addresses of Redis, with and without meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import BackendError, QueueError
from backend.queueing.connection import connect, redis_errors, where
from backend.queueing.queue import TRAIN, JobQueue
from backend.settings import Settings


def test_the_password_of_redis_is_not_shown() -> None:
    assert where(Settings(redis_url="redis://:secret@host:6379/0")) == "redis://host:6379/0"
    assert where(Settings(redis_url="redis://host:6379/0?password=secret")) == "redis://host:6379/0"


@pytest.mark.parametrize(
    "url",
    [
        "http://host",
        "redis://host:99999",
        "redis://host/queue",
        "redis://host?timeout=5",
        "rediss://host?ssl_cert_reqs=never",
        "redis://host?socket_timeout=long",
    ],
)
def test_an_address_without_meaning_is_named(url: str) -> None:
    with pytest.raises(BackendError, match="REDIS_URL cannot be used"):
        connect(Settings(redis_url=url))


@pytest.mark.parametrize(
    "url", ["redis://host/", "redis://host/3", "redis://host?db=3", "rediss://u:a%2Fb@host:1/0?protocol=2"]
)
def test_an_address_with_a_meaning_is_taken(url: str) -> None:
    connect(Settings(redis_url=url)).close()


def test_a_server_that_refuses_says_what_to_do(queue: JobQueue) -> None:
    queue.connection.set(f"rq:queue:{TRAIN}", "somebody else's")
    with pytest.raises(QueueError, match=r"WRONGTYPE.*\. Another program uses our keys"):
        queue.train("7-1")
    with pytest.raises(QueueError, match="Correct the number at the end of REDIS_URL"), redis_errors():
        queue.connection.execute_command("SELECT", 999)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pa/ss#w@127.0.0.1:6379/0",
        "redis://:pass#word@127.0.0.1:6379/0",
        "redis://me:pa?ss@127.0.0.1:6379/0",
        "redis://:pa[ss@127.0.0.1:6379/0",
        "redis://127.0.0.1:pass/0",
    ],
)
def test_a_password_that_is_not_percent_encoded_is_not_shown(url: str, tmp_path: Path) -> None:
    with pytest.raises(QueueError, match="percent-encode") as caught:
        connect(Settings(home=tmp_path, redis_url=url))
    assert "pa" not in str(caught.value).replace("password", "").replace("path", "")


@pytest.mark.parametrize("url", ["redis://:p%2Fss%23w@127.0.0.1/0", "rediss://me:p@s:s@127.0.0.1", "unix:///a@b/c"])
def test_an_encoded_password_is_taken(url: str, tmp_path: Path) -> None:
    connect(Settings(home=tmp_path, redis_url=url)).close()
