"""Whole copies of files that browsers show and Pillow refuses: a JPEG without its end, a PNG with very long text.

Torch-free. A file whose pixels are missing is not among them.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from wsol_core.data.decoding import memory_to_decode

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
        ended, filled = (_digest(content + end) for end in (_END, _FILLING + _END))
    except Exception:  # Pillow's readers raise almost anything on a torn file
        return None
    return io.BytesIO(content + _END) if ended == filled else None


def _digest(content: bytes) -> bytes:
    """What differs where pixels do; of a baseline JPEG at an eighth of its size, a progressive one has more scans."""
    with Image.open(io.BytesIO(content)) as image:
        full_size = image.size
        if not image.info.get("progressive"):
            image.draft(None, (1, 1))
        with memory_to_decode(image, full_size, image.width * image.height):
            return hashlib.blake2b(image.tobytes()).digest()


def _chunks_without_text(content: bytes) -> Iterator[bytes]:
    place = len(_PNG)
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        chunk = content[place : place + length + 12]
        if chunk[4:8] not in _TEXT:
            yield chunk
        place += len(chunk)
