"""Unpack an answer that was packed although nobody asked for it, as some storages and CDNs send pictures."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from backend.errors import ImageError

MOST_AT_ONCE = 2**20  # bytes unpacked in one go, so that a bomb is noticed while it grows
_PACKED = ("gzip", "x-gzip", "deflate")
_UNKNOWN = ("br", "compress", "x-compress", "zstd", "dcb", "dcz")  # to us; what else is written there means nothing
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def unpacked(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Return the body in parts. Args: encoding: the value of Content-Encoding, "" where there is none.

    What browsers pass over is passed over: S3 keeps "aws-chunked" of how a picture was uploaded, people write "utf-8".

    Raises: ImageError where it is packed in another way, or torn.
    """
    for name in reversed([part.strip().lower() for part in encoding.split(",")]):
        if name in _UNKNOWN:
            raise ImageError(f"it is sent with Content-Encoding {name[:40]}; store it, or have it served, without")
        if name in _PACKED:
            chunks = _inflated(chunks, name)
    return iter(chunks)


def _inflated(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    unpacker = None
    try:
        for packed in chunks:
            rest = packed
            if unpacker is None and rest:
                unpacker = zlib.decompressobj(_window(name, rest))
            while rest and unpacker is not None:
                yield unpacker.decompress(rest, MOST_AT_ONCE)
                rest = unpacker.unconsumed_tail
    except zlib.error as error:
        raise ImageError(f"it is sent with Content-Encoding {name}, and is not packed so; store it again") from error
    if unpacker is None or not unpacker.eof:
        raise ImageError(f"it is sent with Content-Encoding {name}, and breaks off; store it again")


def _window(name: str, start: bytes) -> int:
    """Return what zlib calls the format; some servers send deflate without its header."""
    if name != "deflate":
        return _GZIP
    return _ZLIB if start[0] & 15 == 8 and int.from_bytes(start[:2], "big") % 31 == 0 else _RAW
