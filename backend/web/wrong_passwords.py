"""Answer wrong passwords later and later, so that trying many takes long. The right one is never delayed."""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_S, LONGEST_S = 0.1, 4.0
FORGOTTEN_AFTER_S = 300.0
MOST_ADDRESSES = 1000


class WrongPasswords:
    """How often each address was wrong lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[int, float]] = {}

    def delay_s(self, address: str) -> float:
        """Count a wrong password of `address`, and return how long its answer has to wait."""
        now_s = self._clock()
        count, last_s = self._counts.pop(address, (0, now_s))
        count = 0 if now_s - last_s > FORGOTTEN_AFTER_S else count
        self._counts[address] = (count + 1, now_s)
        if len(self._counts) > MOST_ADDRESSES:
            del self._counts[next(iter(self._counts))]
        return float(min(LONGEST_S, FIRST_S * 2 ** min(count, 10)))
