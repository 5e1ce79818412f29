"""Addresses of Redis, with and without meaning."""

from __future__ import annotations

import pytest

from backend.errors import BackendError
from backend.queueing.connection import connect, where
from backend.settings import Settings


def test_the_password_of_redis_is_not_shown() -> None:
    assert where(Settings(redis_url="redis://:secret@host:6379/0")) == "redis://host:6379/0"


def test_an_address_without_meaning_is_named() -> None:
    with pytest.raises(BackendError, match="REDIS_URL cannot be used"):
        connect(Settings(redis_url="http://host"))
