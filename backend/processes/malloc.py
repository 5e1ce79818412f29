"""Rules for the C library's memory allocator, for the whole process. glibc only; elsewhere nothing happens."""

from __future__ import annotations

import ctypes
import sys

MAX_ARENAS = 2
LARGE_BYTES = 8 * 2**20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -3, -4, -8  # of malloc.h


def limit_malloc_arenas() -> None:
    """Have all threads started from now on share two arenas.

    glibc gives threads arenas of their own, up to eight a core, and each keeps what the largest answer in it needed.
    """
    _set(_M_ARENA_MAX, MAX_ARENAS)


def give_back_large_blocks() -> None:
    """Give blocks of LARGE_BYTES and more back to the system as soon as they are freed.

    glibc raises its own limit to 32 MiB, above Pillow's blocks of 16: what one picture of a hundred megapixels took
    would stay in every thread's arena.
    """
    _set(_M_MMAP_THRESHOLD, LARGE_BYTES)


def keep_freed_memory() -> None:
    """Keep what is freed for the next allocation, instead of giving it back to the system.

    A training step on a CPU frees and takes gigabytes of tensors, for which glibc asks the system each time; clearing
    the pages was a quarter of a step's time in a virtual machine.
    """
    _set(_M_MMAP_MAX, 0)
    _set(_M_TRIM_THRESHOLD, -1)


def _set(parameter: int, value: int) -> None:
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(parameter, value)
