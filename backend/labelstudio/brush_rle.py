"""Write and read Label Studio's brush RLE: a list of bytes that holds the RGBA picture of a mask as runs.

The stream is thi.ng's rle-pack: 32 bits for the number of values; 5 for their size in bits, less one; 4 x 4 for the
sizes of a run's length, less one; then records. A record has 1 bit (one value for all of the run, or each its own),
2 bits (which size the length has), the length less one, the value or values. Zeros fill the last byte.
What a mask may cost and how a costly one is made plain is in mask_budget.py. Our own code, since the SDK's goes through
a string of all bits, and decodes whatever size the data claims.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.errors import RequestError
from wsol_core.config import MAX_IMAGE_PIXELS
from wsol_core.records import BoolMask

OPAQUE = 128  # alpha from here on is mask: the soft edge of a drawn stroke is cut at its middle

_CHANNELS = 4
_LENGTH_BITS = (3, 4, 8, 16)
_BITS_OF_INDEX = np.asarray(_LENGTH_BITS)
_HEADER_BITS = 32 + 5 + 4 * len(_LENGTH_BITS)
_RECORD_BITS = 1 + 2 + 8  # and those of the length
_LONGEST = 1 << _LENGTH_BITS[-1]
_NEED = "Use the rle that Label Studio's brush or label_studio_sdk.converter.brush writes"


def encode_mask(mask: BoolMask) -> list[int]:
    """The RLE of a mask (H, W), byte for byte what the SDK makes of it: 255 in all four channels on the object."""
    values, lengths, index = _runs(mask)
    length_bits = _BITS_OF_INDEX[index]
    # A record as the low bits of an integer: 1, two bits of index, the length less one, eight bits of value.
    records = (((4 | index) << length_bits | (lengths - 1)) << 8) | np.where(values, 255, 0)
    bits = np.unpackbits(records.astype(">u4").view(np.uint8)).reshape(-1, 32)
    used = np.arange(32) >= 32 - (_RECORD_BITS + length_bits)[:, None]
    # One more zero, because the SDK's last byte is never full: it adds a byte of zeros instead.
    stream = np.concatenate([_header(mask.size), bits[used], np.zeros(1, np.uint8)])
    return list(np.packbits(stream).tobytes())


def encoded_size(mask: BoolMask) -> int:
    """How many bytes encode_mask would give, without making them."""
    _, _, index = _runs(mask)
    return (_HEADER_BITS + int((_RECORD_BITS + _BITS_OF_INDEX[index]).sum())) // 8 + 1


def decode_mask(rle: Sequence[int], size_wh: tuple[int, int]) -> BoolMask:
    """The mask (H, W) of an RLE, True where alpha is OPAQUE or more.

    Raises RequestError where the RLE is malformed or does not belong to a picture of that size. The work is bounded by
    the length of the RLE, the memory by the picture's size.
    """
    data, (width, height) = _as_bytes(rle), size_wh
    if not (width > 0 and height > 0 and width * height <= MAX_IMAGE_PIXELS):
        raise RequestError(f"A brush mask cannot have {width} x {height} pixels. Correct the region's original size.")
    bits = _Bits(data)
    count, value_bits = bits.read(32), bits.read(5) + 1
    length_bits = [bits.read(4) + 1 for _ in _LENGTH_BITS]
    if count != _CHANNELS * width * height:
        raise RequestError(
            f"A brush mask has {count} values, not the {_CHANNELS} x {width} x {height} of its picture. {_NEED}."
        )
    if value_bits != 8:
        raise RequestError(f"A brush mask has values of {value_bits} bits, not 8. {_NEED}.")
    alpha = np.zeros(width * height, np.bool_)
    start = 0
    while start < count:
        same, length = bits.read(1), bits.read(length_bits[bits.read(2)]) + 1
        end = min(start + length, count)
        # Alpha is every fourth value, from 3 on, so that of pixels start // 4 to end // 4.
        if not same:
            values = bits.read(8 * length).to_bytes(length, "big")[: end - start]
            opaque = np.frombuffer(values[_CHANNELS - 1 - start % _CHANNELS :: _CHANNELS], np.uint8) >= OPAQUE
            alpha[start // _CHANNELS : end // _CHANNELS] = opaque
        elif bits.read(8) >= OPAQUE:
            alpha[start // _CHANNELS : end // _CHANNELS] = True
        start = end
    return alpha.reshape(height, width)


class _Bits:
    """Reads unsigned numbers from a stream of bits, the most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def read(self, bits: int) -> int:
        end = self._position + bits
        if end > 8 * len(self._data):
            raise RequestError(f"A brush mask ends after {len(self._data)} bytes, before its picture is full. {_NEED}.")
        last = (end + 7) // 8
        number = int.from_bytes(self._data[self._position // 8 : last], "big") >> (8 * last - end)
        self._position = end
        return number & ((1 << bits) - 1)


def _as_bytes(rle: Sequence[int]) -> bytes:
    try:
        return bytes([*rle])
    except (TypeError, ValueError):
        raise RequestError(f"A brush mask is no list of whole numbers from 0 to 255. {_NEED}.") from None


def _header(pixels: int) -> NDArray[np.uint8]:
    """Its bits, one a byte."""
    header = _CHANNELS * pixels << 5 | 7
    for bits in _LENGTH_BITS:
        header = header << 4 | bits - 1
    return np.unpackbits(np.frombuffer(header.to_bytes(8, "big"), np.uint8))[-_HEADER_BITS:]


def _runs(mask: BoolMask) -> tuple[BoolMask, NDArray[np.int64], NDArray[np.int64]]:
    """Of each run of channel values: what is in it, its length, and the index of the smallest size that holds that.

    Runs that no record can hold come in pieces, all of them of the largest size, as the SDK has it.
    """
    flat = np.ascontiguousarray(mask, np.bool_).reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(starts, append=flat.size) * _CHANNELS
    values, index = flat[starts], np.searchsorted([1 << bits for bits in _LENGTH_BITS[:-1]], lengths)
    if lengths.max() > _LONGEST:
        pieces = -(-lengths // _LONGEST)
        rests = lengths - (pieces - 1) * _LONGEST
        values, index = np.repeat(values, pieces), np.repeat(index, pieces)
        lengths = np.full(values.size, _LONGEST)
        lengths[np.cumsum(pieces) - 1] = rests
    return values, lengths, index
