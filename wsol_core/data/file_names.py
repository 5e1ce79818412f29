"""Find files below a folder, through linked folders too, and give those names that can be shown and written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from wsol_core.errors import DataError

OF_SYSTEMS = frozenset(  # what they put beside people's files; the folder of a Synology has small copies of images
    (
        *("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"),
        *("Thumbs.db", "desktop.ini"),
    )
)


def walk(folder: Path) -> Iterator[Path]:
    """Return all files below a folder, sorted, without hidden ones; a link to a folder above itself leads nowhere.

    Raises: DataError: A folder cannot be read.
    """
    try:
        yield from sorted(_files(folder, frozenset()))
    except OSError as error:
        reason = f"{error.filename or folder} cannot be read ({error.strerror or error})"
        raise DataError(f"{reason}; let this user read it, or move it away.") from error


def is_hidden(name: str) -> bool:
    """Return whether nobody put a file or folder of that name there to be seen."""
    return name.startswith(".") or name in OF_SYSTEMS


def readable(name: str) -> str:
    """Return a file's name as text that every encoding of JSON takes; one that is not UTF-8 is read as Latin-1.

    Example:
        >>> readable(os.fsdecode(b"K\\xe4fer.jpg"))
        'Käfer.jpg'
    """
    return name if is_text(name) else os.fsencode(name).decode("latin-1")


def is_text(name: str) -> bool:
    """Return whether every encoding of Unicode can hold it; JSON can carry halves of surrogate pairs."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _files(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    state = folder.stat()
    here = (state.st_dev, state.st_ino)
    if here in above:
        return
    for path in folder.iterdir():
        if is_hidden(path.name):
            continue
        if path.is_dir():
            yield from _files(path, above | {here})
        elif path.is_file():
            yield path
