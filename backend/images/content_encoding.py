"""Unpack an answer that was packed although nobody asked for it, as some storages and CDNs send pictures."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from backend.errors import ImageError

MOST_AT_ONCE = 2**20  # bytes unpacked in one go, so that a bomb is noticed while it grows
_PLAIN = ("", "identity", "none")
_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def unpacked(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Return the body in parts. Args: encoding: the value of Content-Encoding, "" where there is none.

    Raises: ImageError where it is packed in another way, or torn.
    """
    name = encoding.strip().lower()
    if name in _PLAIN:
        yield from chunks
        return
    if name not in _WINDOW:
        raise ImageError(f"it is sent with Content-Encoding {name[:40]}; store it, or have it served, without")
    unpacker = zlib.decompressobj(_WINDOW[name])
    try:
        for chunk in chunks:
            while chunk:
                yield unpacker.decompress(chunk, MOST_AT_ONCE)
                chunk = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise ImageError(f"it is sent with Content-Encoding {name}, and is not packed so; store it again") from error
    if not unpacker.eof:
        raise ImageError(f"it is sent with Content-Encoding {name}, and breaks off; store it again")
