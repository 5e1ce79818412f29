"""The memory that decoding images takes: one budget for all threads of a process, which each image waits for.

A small file can stand for a hundred million pixels, and a decoder keeps each of them several times. So what counts is
the sum over all images that are decoded at the same time, in bytes, as the format's decoder needs them. Torch-free.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from PIL import Image

from wsol_core.errors import DataError

BUDGET_BYTES: Final = 2**30
# Bytes a pixel: of a decoder with the image that it fills, and of what an array of it is made from.
OF_DECODER: Final = {"WEBP": 16, "AVIF": 16, "JPEG2000": 16}
OF_ANY_DECODER: Final = 4
OF_COEFFICIENTS: Final = 6  # more of a progressive JPEG, which is kept whole even where it is decoded small
OF_COPY = 4  # more of modes that become another one, in full size, before anything else is done with them
MOST_SCANS: Final = (
    100  # of a JPEG; programs write ten or so, each goes over the whole image, and thousands fit into a file
)
TRANSPARENT_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
OF_ARRAY, OF_TRANSPARENT_ARRAY, OF_DEEP_ARRAY = 6, 18, 20  # the last of 16 bits or floats, which are scaled


class MemoryBudget:
    """A number of bytes that threads share."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = self._left = total_bytes
        self._freed = threading.Condition()

    @contextmanager
    def hold(self, needed_bytes: int) -> Iterator[None]:
        """Wait until so much is left, and keep it inside. Raises: ValueError where there never will be."""
        if needed_bytes > self.total_bytes:
            raise ValueError(f"{needed_bytes:,} bytes are more than {self.total_bytes:,}")
        with self._freed:
            self._freed.wait_for(lambda: self._left >= needed_bytes)
            self._left -= needed_bytes
        try:
            yield
        finally:
            with self._freed:
                self._left += needed_bytes
                self._freed.notify_all()


_BUDGET = MemoryBudget(BUDGET_BYTES)


@contextmanager
def memory_to_decode(image: Image.Image, full_size: tuple[int, int], array_pixels: int = 0) -> Iterator[None]:
    """Wait for the memory that decoding an opened image takes; load it, and make an array of it, inside.

    Args: full_size: (width, height) before `draft`, which has a JPEG decoded at a part of it. array_pixels: how many
        pixels become an array.
    Raises: DataError where it takes more than all images together may, or is a JPEG that takes minutes.
    """
    if image.format in ("JPEG", "MPO") and (scans := _scans(image)) > MOST_SCANS:
        raise DataError(f"the JPEG has {scans} scans, and {MOST_SCANS} are the most; save it anew")
    needed = bytes_to_decode(image, full_size, array_pixels)
    if needed > BUDGET_BYTES:
        raise DataError(
            f"decoding {full_size[0]} x {full_size[1]} pixels of {image.format} takes {needed / 2**20:,.0f} MB of "
            f"memory, more than {BUDGET_BYTES // 2**20:,}; make it smaller, or save it as a baseline JPEG"
        )
    with _BUDGET.hold(needed):
        try:
            yield
        except BaseException as error:  # which keeps what its frames have, for as long as somebody keeps it
            traceback.clear_frames(error.__traceback__)
            image.close()
            raise


def _scans(image: Image.Image) -> int:
    """Return about how often a JPEG's decoder goes over it: the scans in its file, those of a preview included."""
    file: IO[bytes] | None = getattr(image, "fp", None)
    if file is None:  # it is decoded already
        return 0
    place, count, last = file.tell(), 0, b""
    file.seek(0)
    while part := file.read(2**20):
        count += (last + part).count(b"\xff\xda")
        last = part[-1:]
    file.seek(place)
    return count


def bytes_to_decode(image: Image.Image, full_size: tuple[int, int], array_pixels: int = 0) -> int:
    """Return about how much memory decoding an opened image takes at its peak."""
    width, height = image.size
    needed = width * height * OF_DECODER.get(image.format or "", OF_ANY_DECODER)
    if image.format in ("JPEG", "MPO") and image.info.get("progressive"):
        needed += full_size[0] * full_size[1] * OF_COEFFICIENTS
    of_array = OF_ARRAY
    if "transparency" in image.info or image.mode in TRANSPARENT_MODES:
        of_array = OF_TRANSPARENT_ARRAY
    elif image.mode.startswith(("I", "F")):
        of_array = OF_DEEP_ARRAY
    is_clear_palette = image.mode == "P" and "transparency" in image.info
    if array_pixels and (is_clear_palette or image.mode in (*TRANSPARENT_MODES, "LAB", "HSV")):
        needed += width * height * OF_COPY
    return needed + min(array_pixels, width * height) * of_array
