"""Limit how many malloc arenas a process with many threads has. glibc only; elsewhere nothing happens."""

from __future__ import annotations

import ctypes
import sys

MAX_ARENAS = 2
_M_ARENA_MAX = -8  # of malloc.h


def limit_malloc_arenas() -> None:
    """Have all threads started from now on share two arenas.

    glibc gives threads arenas of their own, up to eight a core, and each keeps what the largest answer in it needed.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_ARENA_MAX, MAX_ARENAS)
