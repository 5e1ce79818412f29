"""Small files of this machine, or that several share in a bucket: those are copied to this machine before it reads.

While the bucket is away, reading goes on with the copies, and the log says so; writing does not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.storage.bucket import Bucket, Content, UnchangedError
from backend.storage.files import is_safe, locked, read_text, write_text
from wsol_core.errors import StorageError

logger = logging.getLogger(__name__)

FRESH_S = 2.0  # for which a copy counts as new
AWAY_S = 10.0  # for which nobody asks a bucket that did not answer
MOST_CHANGES = 20  # attempts to change what others change at the same time


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy here: the tag of its content, and the file's state when it was written. Another process may write it."""

    tag: str
    state: tuple[int, int]


class LocalFolder:
    """Small files of this machine alone, by the same calls as those of a SharedFolder: nothing has to be copied."""

    def __init__(self, local: Path) -> None:
        self.local = local

    def pull(self, name: str) -> None:
        """Do nothing."""

    def pull_all(self, wanted: Callable[[str], bool], now: bool = False) -> list[str]:
        """Do nothing."""
        return []

    def change(self, name: str, change: Callable[[str | None], str | None]) -> None:
        """Replace a file's text by what `change` makes of it (None: it stays), one process after the other.

        Raises: DamagedFileError where it cannot be read.
        """
        with locked(self.local / ".lock"):
            if (text := change(read_text(self.local / name))) is not None:
                write_text(self.local / name, text)

    def put(self, name: str, text: str) -> None:
        """Replace a file's text, whatever it is."""
        write_text(self.local / name, text)


class SharedFolder:
    """The objects of a bucket whose names begin with `name`, as files below `local`. For any number of threads."""

    def __init__(self, bucket: Bucket, name: str, local: Path) -> None:
        self.bucket, self.local, self._name = bucket, local, name
        self._copies: dict[str, _Copy] = {}
        self._asked_s: dict[str, float] = {}
        self._away_until_s = 0.0

    def pull(self, name: str) -> None:
        """Copy one file, unless that was done a moment ago."""
        if self._is_due(name):
            self._while_there(lambda: self._fetch(name))

    def pull_all(self, wanted: Callable[[str], bool], now: bool = False) -> list[str]:
        """Copy all files whose names are `wanted` and have changed, and remove those that are gone.

        Args: now: also if that was done a moment ago, and with StorageError where the bucket is away.
        Returns: the names of those that were removed here.
        """
        gone: list[str] = []
        if now:
            gone += self._copy_all(wanted)
        elif self._is_due(""):
            self._while_there(lambda: gone.extend(self._copy_all(wanted)))
        return gone

    def read(self, name: str) -> Content | None:
        """Return what the bucket has now. Raises: StorageError."""
        return self.bucket.read(self._full(name))

    def write(self, name: str, text: str, over: str | None) -> bool:
        """Replace the content of tag `over`, None where there is none; return False where somebody was faster."""
        tag = self.bucket.write(self._full(name), text.encode(), over)
        if tag is not None:
            self._keep(name, Content(text.encode(), tag))
        return tag is not None

    def change(self, name: str, change: Callable[[str | None], str | None]) -> None:
        """Replace a file's text by what `change` makes of it (None: it stays), whoever else changes it as well."""
        for _ in range(MOST_CHANGES):
            content = self.read(name)
            text = change(None if content is None else content.data.decode("utf-8", "replace"))
            if text is None or self.write(name, text, None if content is None else content.tag):
                return
        where = f"{self.bucket.url}/{self._full(name)}"
        raise StorageError(f"{where} was changed {MOST_CHANGES} times meanwhile; try again.")

    def put(self, name: str, text: str) -> None:
        """Replace a file's text, whatever it is."""
        self.change(name, lambda _: text)

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        self.bucket.remove(self._full(name))
        self._drop(name)

    def _full(self, name: str) -> str:
        return f"{self._name}/{name}"

    def _is_due(self, name: str) -> bool:
        now_s = time.monotonic()
        due = now_s - self._asked_s.get(name, -FRESH_S) >= FRESH_S and now_s >= self._away_until_s
        if due:
            self._asked_s[name] = now_s
        return due

    def _while_there(self, copy: Callable[[], None]) -> None:
        try:
            copy()
        except StorageError as error:
            self._away_until_s = time.monotonic() + AWAY_S
            logger.warning("%s Meanwhile what this machine knows counts.", error)

    def _copy_all(self, wanted: Callable[[str], bool]) -> list[str]:
        begin = f"{self._name}/"
        tags = {name.removeprefix(begin): tag for name, tag in self.bucket.tags(begin).items()}
        tags = {name: tag for name, tag in tags.items() if wanted(name) and all(map(is_safe, name.split("/")))}
        for name, tag in tags.items():
            if self._tag_here(name) != tag:
                self._fetch(name)
        here = [path.relative_to(self.local).as_posix() for path in self.local.rglob("*") if path.is_file()]
        gone = [name for name in here if name not in tags and wanted(name)]
        for name in gone:
            self._drop(name)
        return gone

    def _fetch(self, name: str) -> None:
        try:
            content = self.bucket.read(self._full(name), unless=self._tag_here(name))
        except UnchangedError:
            return
        if content is None:
            self._drop(name)
        else:
            self._keep(name, content)

    def _tag_here(self, name: str) -> str | None:
        """The tag of the copy here; None where there is none, or another process has written it since."""
        copy = self._copies.get(name)
        return copy.tag if copy is not None and copy.state == _state(self.local / name) else None

    def _keep(self, name: str, content: Content) -> None:
        path = self.local / name
        write_text(path, content.data.decode("utf-8", "replace"))
        self._copies[name] = _Copy(content.tag, _state(path))

    def _drop(self, name: str) -> None:
        (self.local / name).unlink(missing_ok=True)
        self._copies.pop(name, None)


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns
