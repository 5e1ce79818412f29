"""Names, JSON and locks of the files that the service keeps. wsol_core/files.py writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from backend.errors import BackendError, NotFoundError
from wsol_core.files import write_whole

POLL_S = 0.01  # between attempts at a lock that another holds
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def is_safe(name: str) -> bool:
    """Return whether `name` can be a file's name and nothing else."""
    return _NAME.fullmatch(name) is not None


def safe_name(name: str, what: str) -> str:
    """Return `name`. Raises: NotFoundError, which calls it a `what`, if it is not safe."""
    if not is_safe(name):
        raise NotFoundError(f"{name[:40]!r} is no {what}; it may have letters, digits, '-', '_' and '.'.")
    return name


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace `path` whole or not at all."""
    write_whole(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in `path`; None if there is no such file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise BackendError(f"{path} holds no JSON ({error}); restore it from a backup or remove it.") from error
    if not isinstance(values, dict):
        raise BackendError(f"{path} holds no JSON object; restore it from a backup or remove it.")
    return values


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file `path` inside; the system releases it when the process dies, however it dies.

    Yields whether it is held: always with `wait`, otherwise False where another process or thread holds it. The file
    stays. OSError where the file system has no locks: those that filelock has instead outlive a process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, poll_interval=POLL_S, fallback_to_soft=False)
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
