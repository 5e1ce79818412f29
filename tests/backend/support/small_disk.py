"""A real file system of its own, to be filled, mounted read-only or taken away. Needs the right to mount."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = "600m"  # a version wants 500 MB to be free; only what is kept takes memory


class SmallDisk:
    """What is mounted at `path`, whose folder is short enough for a socket."""

    def __init__(self, folder: Path) -> None:
        self.path, self._elsewhere = folder / "disk", folder / "elsewhere"

    def fill(self) -> None:
        """Leave no room."""
        for _ in range(20):  # somebody may be writing just now
            found = os.statvfs(self.path)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            if _mount("-o", f"remount,size={used}", self.path):
                return
        raise AssertionError(f"{self.path} cannot be filled")

    def make_room(self) -> None:
        """Undo `fill`."""
        assert _mount("-o", f"remount,size={SIZE}", self.path)

    def lock(self) -> None:
        """Take no more writes; nobody may have a file open for writing."""
        assert _mount("-o", "remount,ro", self.path)

    def unlock(self) -> None:
        """Undo `lock`."""
        assert _mount("-o", "remount,rw", self.path)

    def take_away(self) -> None:
        """Leave an empty folder where it was."""
        assert _mount("--move", self.path, self._elsewhere)

    def bring_back(self) -> None:
        """Undo `take_away`."""
        assert _mount("--move", self._elsewhere, self.path)


@contextmanager
def small_disk() -> Iterator[SmallDisk]:
    """Mounts one, and unmounts it wherever it is then; the test is left out where nobody may mount.

    Not below pytest's folders: a mount that a killed test leaves there would stop all later tests.
    """
    folder = Path(tempfile.mkdtemp(prefix="boxstrap-"))
    places = [folder / name for name in ("disk", "elsewhere")]
    for place in places:
        place.mkdir()
    if sys.platform != "linux" or not _mount("-t", "tmpfs", "-o", f"size={SIZE}", "boxstrap-test", places[0]):
        pytest.skip("mounting a small disk needs root on Linux")
    try:
        yield SmallDisk(folder)
    finally:
        for place in filter(os.path.ismount, places):
            subprocess.run(["umount", "--lazy", str(place)], check=True)
        shutil.rmtree(folder)


def _mount(*arguments: str | Path) -> bool:
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode == 0
