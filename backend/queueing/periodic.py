"""Do a round of work again and again, in a background thread of a web process."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from types import TracebackType

logger = logging.getLogger(__name__)

SAID_AGAIN_S = 600.0


class PeriodicThread(ABC):
    """Works between `start` and `stop`, or while it is entered. Subclasses write `_work`."""

    def __init__(self, name: str) -> None:
        self._name, self._problem, self._said_s = name.replace("-", " "), "", 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin; once only."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present round, and wait for that for at most five seconds."""
        self._done.set()
        self._thread.join(timeout=5)

    def __enter__(self) -> None:
        self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _went_well(self) -> None:
        """Say so where the round before did not."""
        if self._problem:
            logger.info("%s: works again", self._name)
            self._problem = ""

    def _failed(self, error: Exception) -> None:
        """Warn of what kept a round from its work; once, and now and then while it stays the same."""
        now_s, problem = time.monotonic(), str(error)
        if problem != self._problem or now_s - self._said_s >= SAID_AGAIN_S:
            logger.warning("%s: %s", self._name, problem)
            self._said_s = now_s
        self._problem = problem

    @abstractmethod
    def _work(self) -> None:
        """Do rounds until `_done` is set."""
