"""Names, JSON and locks of the files that the service keeps. Writing itself is wsol_core.files' business."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.errors import BackendError, NotFoundError
from wsol_core.files import write_whole

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def is_safe(name: str) -> bool:
    """Whether it can be a file's name and nothing else."""
    return _NAME.fullmatch(name) is not None


def safe_name(name: str, what: str) -> str:
    """`name` if it is safe; NotFoundError calls it a `what`."""
    if not is_safe(name):
        raise NotFoundError(f"{name[:40]!r} is no {what}; it may have letters, digits, '-', '_' and '.'.")
    return name


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replaces `path` whole or not at all."""
    write_whole(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`; None where there is no such file."""
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
    """Holds the lock file `path` inside; the system lets go of it when the process dies, however it dies.

    Yields whether it is held: always with `wait`, otherwise False where another process or thread holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
