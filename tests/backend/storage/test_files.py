"""Lock files: one holder at a time, and none once its process is dead, whatever it has forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backend.storage.files import locked
from tests.backend.support.real_services import ROOT

HOLDS_AND_FORKS = """
import os, sys, time
from pathlib import Path
from backend.storage.files import locked

with locked(Path(sys.argv[1])):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock; its child lives on when it is killed."""
    command = [sys.executable, "-c", HOLDS_AND_FORKS, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield process
    finally:
        process.kill()
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        process.communicate()


def test_a_lock_is_held_once_by_threads_and_nested_blocks_alike(tmp_path: Path) -> None:
    path, seen = tmp_path / "below" / "lock", list[bool]()

    def look() -> None:
        with locked(path, wait=False) as held:
            seen.append(held)

    with locked(path) as held:
        assert held
        look()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    look()
    assert seen == [False, False, True]


def test_who_waits_gets_the_lock_when_it_is_free(tmp_path: Path) -> None:
    order = list[str]()

    def wait() -> None:
        with locked(tmp_path / "lock"):
            order.append("waited")

    thread = threading.Thread(target=wait)
    with locked(tmp_path / "lock"):
        thread.start()
        time.sleep(0.1)
        order.append("held")
    thread.join()
    assert order == ["held", "waited"]


def test_a_killed_process_holds_no_lock_even_where_a_fork_of_it_lives(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_elsewhere(path) as process:
        with locked(path, wait=False) as held:
            assert not held
        process.kill()
        process.wait()
        with locked(path) as held:
            assert held


def test_lock_files_of_earlier_versions_are_empty_files_that_stay(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with locked(path, wait=False) as held:
        assert held
    assert path.read_bytes() == b""


def test_what_a_process_of_the_service_writes_is_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    code = f"""
from pathlib import Path
from backend.settings import Settings
from backend.storage.projects import Project
from backend.wiring import build
parts = build(Settings(home=Path({str(home)!r})))
parts.stores.projects.remember(Project("7", "<View/>"))
parts.media.keep("data:image/png;base64,AAAA", "7")
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    modes = {path: path.stat().st_mode & 0o777 for path in (home, *home.rglob("*"))}
    assert len(modes) > 4
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    victim, lock = tmp_path / "victim", tmp_path / "lock"
    victim.write_text("precious")
    lock.symlink_to(victim)
    with locked(lock) as held:
        assert held and not lock.is_symlink()
    assert victim.read_text() == "precious"
