"""How many processor cores this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """At least 1. Containers and batch systems often allow fewer cores than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
