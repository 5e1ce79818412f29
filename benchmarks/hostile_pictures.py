"""Pictures that are meant to do harm: bombs of every format, odd sizes and modes, torn files, and what is none."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np
from PIL import Image

SIDE_PX = 9900  # just below the most that the service takes


def hostile_pictures(kinds: Sequence[bytes]) -> Iterator[bytes]:
    """Each kind as it is, and then again and again with one bit turned over somewhere."""
    generator = random.Random(17)
    for index in count():
        content = bytearray(kinds[index % len(kinds)])
        if index >= len(kinds):
            content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        yield bytes(content)


def picture_kinds() -> list[bytes]:
    """One of each; making them takes half a minute."""
    flat = Image.new("RGB", (SIDE_PX, SIDE_PX), (90, 60, 30))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8))
    deep = Image.fromarray(np.random.default_rng(0).integers(0, 65535, (300, 300), np.uint16))
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = [noise.rotate(90 * turn) for turn in range(4)]
    return [
        *(_saved(flat, kind) for kind in ("WEBP", "PNG", "JPEG", "GIF", "JPEG2000")),
        _saved(flat, "JPEG", progressive=True),
        _saved(flat.convert("RGBA"), "PNG"),
        _saved(flat.convert("CMYK"), "JPEG"),
        _saved(flat, "TIFF", compression="tiff_deflate"),
        _saved(flat.convert("1"), "TIFF", compression="group4"),
        *(_saved(Image.new("L", size), "PNG") for size in ((1, 100_000), (100_000, 1), (1, 1))),
        *(_saved(noise, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")),
        *(_saved(deep, kind) for kind in ("PNG", "TIFF", "PPM")),
        _saved(noise.convert("CMYK"), "JPEG", exif=turned),
        _saved(noise, "JPEG", exif=b"Exif\0\0" + b"\xff" * 1000),
        *(_saved(frames[0], kind, save_all=True, append_images=frames[1:]) for kind in ("GIF", "WEBP", "PNG", "TIFF")),
        _saved(noise.resize((64, 64)), "ICO"),
        *(_saved(noise, kind)[:2000] for kind in ("PNG", "JPEG", "WEBP")),
        _png_header(60_000, 60_000) + b"\0" * 64,
        _png_header(2**31 - 1, 2**31 - 1),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\0" * 1000,
    ]


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _png_header(width: int, height: int) -> bytes:
    data = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + data
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(data)) + chunk + struct.pack(">I", zlib.crc32(chunk))
