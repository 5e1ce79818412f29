"""Replace files whole or not at all. Torch-free."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from wsol_core.errors import StorageError


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """`path` holds `content` afterwards, or what it held before; StorageError says why it could not be written.

    Of several that write it at the same time, one comes last.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path} could not be written: {error.strerror or error}. What it held before is intact; "
            f"{next_step(error)}, then go on.",
            is_full=is_full(error),
        ) from error


def is_full(error: OSError) -> bool:
    """Whether room is all that is missing."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def next_step(error: OSError) -> str:
    """What to do about a file that could not be written, as a part of a sentence."""
    if is_full(error):
        return "make room or choose another folder"
    if error.errno == errno.EROFS:
        return "mount the file system for writing or choose another folder"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "let this user write there or choose another folder"
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN):
        return "mount or make the folder, or choose another one"
    return "look after the disk or choose another folder"
