"""Replace files whole or not at all. Torch-free."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from wsol_core.errors import StorageError


def write_whole(path: Path, content: bytes) -> None:
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
            "make room or choose another folder, then go on."
        ) from error
