"""Have a process end with the one that started it. Linux only; elsewhere nothing happens."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

# Loaded now, not in the new process: between fork and exec next to nothing is safe to do.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None, number: signal.Signals) -> None:
    """Have this process, just forked by `parent`, get the signal when the thread that forked it ends."""
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it died before that
        os._exit(1)
