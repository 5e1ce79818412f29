"""Threads for calls that wait long, so that the short ones keep theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync

from backend.errors import BusyError

T = TypeVar("T")

SEATS = 32  # calls that wait at the same time
PATIENCE_S = 5.0  # for a seat; with PREDICT_TIMEOUT's 90 s it stays below the 100 s that Label Studio waits


class WaitingRoom:
    """One for each application; for any number of event loops, one after the other."""

    def __init__(self, seats: int = SEATS, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._limiter = anyio.CapacityLimiter(seats)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, run in a thread; BusyError where none gets free in time."""
        with anyio.move_on_after(self._patience_s):
            # Only the wait for a thread ends then: work that has begun is shielded until it returns.
            return await run_sync(work, limiter=self._limiter)
        raise BusyError(
            f"{int(self._limiter.total_tokens)} predictions are being waited for already; ask again, "
            "or start more `boxstrap worker predict`."
        )
