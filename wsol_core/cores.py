"""How many processor cores this process may use, and threads on them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def usable_cores() -> int:
    """At least 1. Containers and batch systems often allow fewer cores than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def core_pool() -> ThreadPoolExecutor:
    """Threads of the process, one a core, for short work on arrays; what works there may not wait for more of it."""
    return ThreadPoolExecutor(usable_cores(), thread_name_prefix="core")


if hasattr(os, "register_at_fork"):  # a fork has none of the threads, and would wait for them for ever
    os.register_at_fork(after_in_child=core_pool.cache_clear)
