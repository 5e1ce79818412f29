"""Run calls that wait long in threads of their own, so that short calls always find one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync

from backend.errors import BusyError

T = TypeVar("T")

MAX_THREADS = 32  # calls that wait at the same time
WAIT_S = 5.0  # for a thread; with PREDICT_TIMEOUT's 90 s it stays below the 100 s that Label Studio waits


class ThreadLimiter:
    """A bounded number of threads; one for each application, in any number of event loops one after the other."""

    def __init__(self, max_threads: int = MAX_THREADS, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._limiter = anyio.CapacityLimiter(max_threads)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, run in a thread. Raises: BusyError if none gets free in time."""
        with anyio.move_on_after(self._wait_s):
            # Only the wait for a thread ends then: work that has begun is shielded until it returns.
            return await run_sync(work, limiter=self._limiter)
        raise BusyError(
            f"{int(self._limiter.total_tokens)} predictions are being waited for already; ask again, "
            "or start more `boxstrap worker predict`."
        )
