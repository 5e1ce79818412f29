"""Timing shared by the benchmarks: the median of repeated calls, and what the machine is."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable

import torch

from wsol_core.cores import usable_cores


def machine() -> str:
    """One line that a reader can compare figures by."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    cores = usable_cores()
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{cores} CPU cores ({platform.machine()}, {capability}), torch {torch.__version__}"


def seconds(call: Callable[[], object], repeats: int = 7, warm_up: int = 2) -> float:
    """Median seconds of `call`, CUDA work included."""
    times = []
    for index in range(warm_up + repeats):
        wait()
        start = time.perf_counter()
        call()
        wait()
        if index >= warm_up:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def wait() -> None:
    """Until the GPU has done all that it was given; nothing without one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
