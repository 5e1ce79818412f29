"""Ctrl-C: how a training is asked to stop at its next step, and how other commands end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from wsol_core.errors import WsolError

CTRL_C, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # what shells expect as the exit code


class Interrupted(WsolError):
    """The user stopped a command; the message says what is left of its work."""

    def __init__(self, sentence: str, exit_code: int = CTRL_C) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class StopRequest:
    """Remembers that the process was asked to stop (Ctrl-C or SIGTERM); a second Ctrl-C ends it at once.

    `announcement` is written to stderr when the first Ctrl-C comes.
    """

    def __init__(self, announcement: str) -> None:
        self.exit_code = CTRL_C
        self._announcement = announcement.encode()
        self._asked = False

    def is_asked(self) -> bool:
        """Whether to stop at the next chance."""
        return self._asked

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals are heard inside; only the main thread can, elsewhere nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, self._hear)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        if number == signal.SIGTERM:
            self.exit_code = TERMINATED
        elif not self._asked:
            # Not through sys.stderr: a signal may come while that is being written to, and it cannot be entered twice.
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, self._announcement)
        self._asked = True


@contextmanager
def on_interrupt(sentence: str) -> Iterator[None]:
    """Inside, a Ctrl-C ends the command with `sentence`."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(sentence) from None
