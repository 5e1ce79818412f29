"""A process that has loaded everything forks workers, and forks anew whenever one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.backend.support.real_services import ROOT, children_of, is_running, wait_for

GUARDS = """
import signal, sys, time
from pathlib import Path
from backend.processes import guardian
from backend.processes.guardian import Guardian

guardian.WAITS_S = (0.0,)
folder = Path(sys.argv[1])

def work(queues):
    def stop(*_):
        (folder / f"{queues[0]} ended").touch()
        raise SystemExit
    signal.signal(signal.SIGTERM, stop)
    (folder / f"{queues[0]} works").touch()
    time.sleep(600)

Guardian([("a",), ("b", "c")], work, lambda pid: (folder / f"{pid} died").touch()).run()
"""


@contextmanager
def guarded(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A guardian of two workers that are at work."""
    with subprocess.Popen([sys.executable, "-c", GUARDS, str(folder)], cwd=ROOT) as process:
        try:
            wait_for(lambda: (folder / "a works").exists() and (folder / "b works").exists())
            yield process
        finally:
            process.kill()


def test_a_worker_that_is_killed_is_forked_again_at_once_and_others_stay(tmp_path: Path) -> None:
    with guarded(tmp_path) as guardian:
        first, other = children_of(guardian.pid)
        os.kill(first, signal.SIGKILL)
        killed_s = time.monotonic()
        wait_for(lambda: len(set(children_of(guardian.pid)) - {first}) == 2)
        assert time.monotonic() - killed_s < 5
        assert other in children_of(guardian.pid)
        assert (tmp_path / f"{first} died").exists()


def test_a_guardian_that_is_told_to_end_waits_for_its_workers(tmp_path: Path) -> None:
    with guarded(tmp_path) as guardian:
        workers = children_of(guardian.pid)
        guardian.send_signal(signal.SIGTERM)
        assert guardian.wait(20) == 0
        assert {path.name for path in tmp_path.glob("* ended")} == {"a ended", "b ended"}
        assert not any(map(is_running, workers))


def test_workers_end_with_a_guardian_that_is_killed(tmp_path: Path) -> None:
    with guarded(tmp_path) as guardian:
        workers = children_of(guardian.pid)
        guardian.kill()
        wait_for(lambda: not any(map(is_running, workers)), 10)
        assert len(list(tmp_path.glob("* ended"))) == 2  # they were told, not killed
