"""Whole copies of files that browsers show and Pillow refuses: a JPEG without its end, a PNG with very long text.

Torch-free. A file whose pixels are missing is not among them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

_PNG = b"\x89PNG\r\n\x1a\n"
_TEXT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf")  # what may be too long to unpack, and is no pixel
_JPEG, _END = b"\xff\xd8", b"\xff\xd9"
_FILLING = b"\x5a\xa5" * 64  # pixels for whatever is missing


def repaired(path: Path) -> io.BytesIO | None:
    """Return the content of a file, mended so that Pillow reads it; None where this knows nothing to mend.

    Raises: OSError: the file cannot be read.
    """
    content = path.read_bytes()
    if content.startswith(_PNG):
        return io.BytesIO(_PNG + b"".join(_chunks_without_text(content)))
    if content.startswith(_JPEG):
        return _with_end(content.removesuffix(b"\xff"))
    return None


def _with_end(content: bytes) -> io.BytesIO | None:
    """Return a JPEG with its end, if nothing but that is missing: what is put before the end is no pixel then."""
    try:
        ended, filled = (np.asarray(Image.open(io.BytesIO(content + end))) for end in (_END, _FILLING + _END))
    except Exception:  # Pillow's readers raise almost anything on a torn file
        return None
    return io.BytesIO(content + _END) if np.array_equal(ended, filled) else None


def _chunks_without_text(content: bytes) -> Iterator[bytes]:
    place = len(_PNG)
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        chunk = content[place : place + length + 12]
        if chunk[4:8] not in _TEXT:
            yield chunk
        place += len(chunk)
