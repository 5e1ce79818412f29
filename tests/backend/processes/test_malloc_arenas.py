"""A process that keeps few heaps has few, however many threads allocate at the same time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from backend.processes.malloc_arenas import HEAPS

ROOT = Path(__file__).resolve().parents[2]
ALLOCATING = """
import ctypes, threading
from backend.processes.malloc_arenas import limit_malloc_arenas
{call}
libc, barrier = ctypes.CDLL(None), threading.Barrier(9)
libc.malloc.restype = ctypes.c_void_p

def allocate():
    barrier.wait()
    libc.malloc(1000)
    barrier.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
barrier.wait(); barrier.wait()
for thread in threads: thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def heaps(call: str) -> int:
    code = ALLOCATING.format(call=call)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return len(re.findall("<heap nr=", done.stdout))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heaps")
def test_few_heaps_are_kept() -> None:
    assert heaps("limit_malloc_arenas()") <= HEAPS < heaps("")
