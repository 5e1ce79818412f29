"""A process with limited arenas has few, however many threads allocate at the same time."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from backend.processes.malloc_arenas import MAX_ARENAS
from tests.backend.support.real_services import ROOT

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


def arenas(call: str) -> int:
    code = ALLOCATING.format(call=call)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return len(re.findall("<heap nr=", done.stdout))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's arenas")
def test_few_arenas_are_kept() -> None:
    assert arenas("limit_malloc_arenas()") <= MAX_ARENAS < arenas("")
