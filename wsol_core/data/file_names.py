"""Find files below a folder, through linked folders too, and give those names that can be shown and written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path) -> Iterator[Path]:
    """Return all files below a folder, sorted, without hidden ones; a link to a folder above itself leads nowhere."""
    yield from sorted(_files(folder, frozenset()))


def readable(name: str) -> str:
    """Return a file's name as text that every encoding of JSON takes; one that is not UTF-8 is read as Latin-1.

    Example:
        >>> readable(os.fsdecode(b"K\\xe4fer.jpg"))
        'Käfer.jpg'
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("latin-1")
    return name


def _files(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    state = folder.stat()
    here = (state.st_dev, state.st_ino)
    if here in above:
        return
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path, above | {here})
        elif path.is_file():
            yield path
