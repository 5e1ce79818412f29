"""A thread that works in rounds, from its start to its stop."""

from __future__ import annotations

import logging
import threading

import pytest

from backend.queueing.periodic import PeriodicThread


class Counter(PeriodicThread):
    """Counts its rounds, each a millisecond after the one before."""

    def __init__(self) -> None:
        super().__init__("counter")
        self.rounds, self.third_round = 0, threading.Event()

    def _work(self) -> None:
        while not self._done.wait(0.001):
            self.rounds += 1
            if self.rounds == 3:
                self.third_round.set()


def test_rounds_follow_each_other_until_the_block_ends() -> None:
    counter = Counter()
    with counter:
        assert counter.third_round.wait(5)
    assert not any(thread.name == "counter" for thread in threading.enumerate())


def test_what_fails_round_after_round_is_said_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    counter = Counter()
    with caplog.at_level(logging.INFO):
        for error in (OSError("away"), OSError("away"), OSError("full"), None, None, OSError("full")):
            counter._failed(error) if error else counter._went_well()
    assert [record.getMessage() for record in caplog.records] == [
        "counter: away",
        "counter: full",
        "counter: works again",
        "counter: full",
    ]
