"""A SQLite file that several processes use: each call has a connection of its own, and one transaction at most."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from backend.errors import DamagedFileError
from backend.storage.files import Damage
from wsol_core.errors import StorageError

WAIT_S = 30.0  # for another process's transaction, which takes milliseconds
READING_WAIT_S = 3.0  # where a person waits for a page
ROOM = "make room"


class SqliteFile:
    """Tables at `path`, made when something is kept first.

    Every method raises DamagedFileError where the file is broken, StorageError where the disk is full or read-only.
    """

    def __init__(self, path: Path, layout: str, loss: str, damage: Damage | None = None) -> None:
        """Args: layout: statements that make what is not there. loss: what becomes of its content if it is removed."""
        self.path, self._layout, self._loss, self._damage = path, layout, loss, damage or Damage()

    def all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a query finds; nothing where there is no file yet."""
        if not self.path.exists():
            return []
        with self._connection(READING_WAIT_S) as db:
            return list(db.execute(sql, values))

    def first(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """Return the first row that a query finds; None where there is none."""
        return next(iter(self.all(sql, *values)), None)

    def number(self, sql: str, *values: object) -> int:
        """Return the whole number that a query computes; 0 where there is no file yet."""
        return int((self.first(sql, *values) or (0,))[0])

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is kept whole where the block ends well, and otherwise not at all."""
        with suppress(OSError):  # SQLite says what is wrong
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection(WAIT_S) as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")  # what raises before is rolled back when the connection closes

    @contextmanager
    def _connection(self, wait_s: float) -> Iterator[sqlite3.Connection]:
        """A connection of its own for each call: neither threads nor forks can share one."""
        try:
            if self.path.exists() and not self.path.is_file():  # SQLite would wait for a pipe
                raise sqlite3.OperationalError("it is no file")
            with closing(sqlite3.connect(self.path, timeout=wait_s, isolation_level=None)) as db:
                db.executescript(self._layout)
                yield db
        except sqlite3.Error as error:
            if (step := self._what_the_disk_needs(error)) is not None:
                raise StorageError(f"{self.path} cannot be written: {error}; {step}.", step == ROOM) from error
            broken = f"If the file is broken, remove it: {self._loss}."
            notice = f"{self.path} cannot be used: {error}. {broken}"
            self._damage.note(self.path, notice)
            raise DamagedFileError(notice) from error
        self._damage.clear(self.path)

    def _what_the_disk_needs(self, error: sqlite3.Error) -> str | None:
        """Return the next step where the disk refuses, and nothing is wrong with the file; else None."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the details
        if code == sqlite3.SQLITE_FULL:
            return ROOM
        is_refused = code == sqlite3.SQLITE_READONLY or (
            code == sqlite3.SQLITE_CANTOPEN and not os.access(self.path.parent, os.W_OK)
        )
        return "let this user write there, or mount the file system for writing" if is_refused else None


def is_in_use(error: BaseException) -> bool:
    """Return whether nothing is wrong with a file but that another process has kept it for too long."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
