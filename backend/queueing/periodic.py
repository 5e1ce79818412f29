"""Do a round of work again and again, in a background thread of a web process."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType


class PeriodicThread(ABC):
    """Works between `start` and `stop`, or while it is entered. Subclasses write `_work`."""

    def __init__(self, name: str) -> None:
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

    @abstractmethod
    def _work(self) -> None:
        """Do rounds until `_done` is set."""
