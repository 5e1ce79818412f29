"""A thread that works in rounds, from its start to its stop."""

from __future__ import annotations

import threading

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
