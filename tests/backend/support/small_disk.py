"""A real file system of its own, to be filled, mounted read-only or taken away. Needs the right to mount."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """What is mounted at `path`; it takes memory for what is in it alone."""

    def __init__(self, path: Path, mb: int) -> None:
        self.path, self._mb = path, mb

    def fill(self) -> None:
        """Leave no room."""
        for _ in range(20):  # somebody may be writing just now
            found = os.statvfs(self.path)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            if not subprocess.run(
                ["mount", "-o", f"remount,size={used}", str(self.path)], capture_output=True
            ).returncode:
                return
        raise AssertionError(f"{self.path} cannot be filled")

    def make_room(self) -> None:
        """Undo `fill`."""
        self.remount(f"size={self._mb}m")

    def remount(self, how: str) -> None:
        """Make it "ro" or "rw", or change another option; whoever has a file open for writing keeps it from "ro"."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.path)], check=True)

    def take_away(self, away: Path) -> None:
        """Move it to another folder; what was below it is seen again, which is nothing."""
        away.mkdir()
        subprocess.run(["mount", "--move", str(self.path), str(away)], check=True)

    def bring_back(self, away: Path) -> None:
        """Undo `take_away`."""
        subprocess.run(["mount", "--move", str(away), str(self.path)], check=True)


@contextmanager
def small_disk(path: Path, mb: int = 600) -> Iterator[SmallDisk]:
    """Mounts one at `path`, and unmounts it, wherever it is then; the test is left out where nobody may mount."""
    path.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mb}m", "boxstrap-test", str(path)], capture_output=True
    )
    if sys.platform != "linux" or made.returncode:
        pytest.skip("mounting a small disk needs root on Linux")
    try:
        yield SmallDisk(path, mb)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=False, capture_output=True)
