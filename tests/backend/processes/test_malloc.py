"""What an allocator that was told how to go about memory then does."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from backend.processes.malloc import MAX_ARENAS
from tests.backend.support.real_services import ROOT

ALLOCATING = """
import ctypes, threading
from backend.processes.malloc import limit_malloc_arenas
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


FREEING = """
import resource
from backend.processes.malloc import keep_freed_memory
{call}
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
large = bytearray(64 << 20)
del large
before = faults()
large = bytearray(64 << 20)
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's settings")
def test_freed_memory_is_taken_again_without_asking_the_system() -> None:
    kept, returned = (
        int(
            subprocess.run(
                [sys.executable, "-c", FREEING.format(call=call)], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout
        )
        for call in ("keep_freed_memory()", "")
    )
    assert kept < 1000 < returned


RETURNING = """
from pathlib import Path
from backend.processes.malloc import give_back_large_blocks
{call}
anonymous_mib = lambda: int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0]) // 1024
before = anonymous_mib()
large = bytearray(b"x") * (24 << 20)
del large  # which raises glibc's own limit
blocks, between = [], []
for _ in range(16):
    blocks.append(bytearray(b"x") * (16 << 20))
    between.append(bytearray(b"x") * (16 << 10))
del blocks
print(anonymous_mib() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's settings")
def test_large_blocks_go_back_whatever_lies_between_them() -> None:
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", RETURNING.format(call=call)], cwd=ROOT))
        for call in ("", "give_back_large_blocks()")
    )
    assert given_back < 20 < 200 < kept
