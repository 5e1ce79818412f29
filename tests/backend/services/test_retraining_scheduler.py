"""Several schedulers take turns, and none dies in silence."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from backend.errors import QueueError
from backend.services.retraining import RetrainingService
from backend.services.retraining_scheduler import RetrainingScheduler
from backend.wiring import Parts
from tests.backend.services.conftest import Say


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_starts_what_is_due(parts: Parts, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.services.retraining_scheduler.EVERY_S", 0.01)
    parts.services.retraining.change_policy("7", every=1, min_per_class=1)
    say(1)
    with RetrainingScheduler(parts.queue, parts.services.retraining):
        until(lambda: parts.services.training.runs("7"))
    assert len(parts.services.training.runs("7")) == 1


def test_two_do_not_look_at_the_same_time(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[object] = []
    monkeypatch.setattr(RetrainingService, "tick", lambda self: rounds.append(self))
    keeper = RetrainingScheduler(parts.queue, parts.services.retraining)
    with parts.queue.connection.lock("boxstrap:lock:timekeeper", timeout=10):
        keeper.run_once()
    assert rounds == []
    keeper.run_once()
    keeper.run_once()
    assert len(rounds) == 2


@pytest.mark.parametrize("error", [QueueError("Redis does not answer"), RuntimeError("unexpected")])
def test_the_thread_goes_on_after_errors(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    rounds: list[object] = []

    def fails(self: RetrainingService) -> None:
        rounds.append(self)
        raise error

    monkeypatch.setattr(RetrainingService, "tick", fails)
    monkeypatch.setattr("backend.services.retraining_scheduler.EVERY_S", 0.01)
    with RetrainingScheduler(parts.queue, parts.services.retraining):
        until(lambda: len(rounds) >= 3)
    assert "retraining scheduler: " in caplog.text
