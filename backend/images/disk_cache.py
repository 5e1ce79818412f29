"""Keep pictures on disk for several processes, and check that a file is a picture.

A file that was asked for within the last KEEP_S seconds is never removed, so whoever asked has that long to open it;
the cache may be larger than its limit by as much. See image_store.py for where the pictures come from.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO

from PIL import Image

from backend.errors import ImageError, ImageNotNowError
from backend.images.file_kinds import START_BYTES, kind_of
from wsol_core.data.decoding import memory_to_decode
from wsol_core.data.repair import repaired
from wsol_core.errors import DataError
from wsol_core.files import is_full, next_step

KEEP_S = 600.0
FORMATS = frozenset(
    ("JPEG", "MPO", "JPEG2000", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "AVIF", "PPM")  # EPS would run Ghostscript
)


class DiskCache:
    """Picture files below `folder`, one folder a project, at most about `max_bytes` in all.

    The time of a file's last change is the time of its last use: the least recently used go first, until 90% are left.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._bytes_until_sweep = 0
        self._lock = threading.Lock()

    def find(self, project_id: str, key: str) -> Path | None:
        """The file of a picture that is here, marked as used now."""
        path = self.path(project_id, key)
        try:
            state = path.lstat()
            os.utime(path)
        except OSError:
            return None  # it is not there; where the disk refuses, `add` says so
        return path if stat.S_ISREG(state.st_mode) and state.st_size else None

    def add(self, project_id: str, key: str, write: Callable[[IO[bytes]], object], max_pixels: int | None) -> Path:
        """The file that `write` fills, once it is whole and a picture; others never see half of it.

        Args: max_pixels: None where whoever opens it will check it.
        ImageError if it is no picture or has more than `max_pixels`; ImageNotNowError if the disk refuses.
        """
        path = self.path(project_id, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix="part-", delete=False) as part:
                try:
                    write(part)
                    part.flush()
                    if max_pixels is not None:
                        check_picture(Path(part.name), max_pixels)
                    Path(part.name).replace(path)
                except BaseException:
                    Path(part.name).unlink(missing_ok=True)
                    raise
            self._make_room(path.stat().st_size)
        except OSError as error:
            raise ImageNotNowError(
                f"it cannot be kept in {self._folder} ({error.strerror or error}); {next_step(error)}"
                f"{', or lower IMAGE_CACHE_GB' if is_full(error) else ''}"
            ) from error
        return path

    def path(self, project_id: str, key: str) -> Path:
        """Where a picture is, or will be."""
        plain = re.fullmatch(r"[A-Za-z0-9_-]{1,64}", project_id)
        name = project_id if plain else "hashed-" + hashlib.sha256(project_id.encode()).hexdigest()
        return self._folder / name / key

    def _make_room(self, added_bytes: int) -> None:
        """Look over the whole cache when half of its room could be used up; other processes may use the other half."""
        with self._lock:
            self._bytes_until_sweep -= added_bytes
            if self._bytes_until_sweep <= 0:
                left = self._max_bytes - self._sweep()
                self._bytes_until_sweep = max(left // 2, self._max_bytes // 100)

    def _sweep(self) -> int:
        """Remove what was not used for longest if the limit is exceeded. Returns the bytes that are left."""
        files = sorted(_files(self._folder))
        total = sum(size for _, size, _ in files)
        if total <= self._max_bytes:
            return total
        unused_since = time.time() - KEEP_S
        for used_at, size, path in files:
            if total <= 0.9 * self._max_bytes or used_at > unused_since:
                break
            try:
                if path.stat().st_mtime == used_at:  # else someone asked for it in the meantime
                    path.unlink()
                    total -= size
            except FileNotFoundError:
                total -= size  # another process was faster
        return total


def check_picture(path: Path, max_pixels: int) -> None:
    """ImageError unless the file is a whole picture of a known format with at most `max_pixels`."""
    try:
        _check(path, max_pixels)
    except ImageError:
        raise
    except Exception as error:
        # Pillow's readers raise almost anything on a torn file: OSError, SyntaxError, struct.error, KeyError, ...
        if _is_mended(path, max_pixels):
            return
        with path.open("rb") as file:
            kind = kind_of(file.read(START_BYTES))
        raise ImageError(f"the file is {kind}") from error


def _check(file: Path | BytesIO, max_pixels: int) -> None:
    too_large = f"more than {max_pixels:,} pixels (IMAGE_MAX_MEGAPIXELS); make it smaller, or raise the limit"
    try:
        with Image.open(file) as image:
            width, height = image.size
            if image.format not in FORMATS:
                raise ImageError(f"{image.format} files cannot be used; convert it to JPEG or PNG")
            if width * height > max_pixels:
                raise ImageError(f"it has {width} x {height} pixels, {too_large}")
            if image.format == "JPEG":
                image.draft(None, (1, 1))  # an eighth of the size takes a fraction of the time and finds torn files too
            with memory_to_decode(image, (width, height)):
                image.load()
    except DataError as error:
        raise ImageError(str(error)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"it has {too_large}") from error


def _is_mended(path: Path, max_pixels: int) -> bool:
    """Whether those who read the picture mend what Pillow refuses."""
    try:
        if (mended := repaired(path)) is None:
            return False
        _check(mended, max_pixels)
    except ImageError:
        raise
    except Exception:
        return False
    return True


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """Time of last use (seconds since 1970), size in bytes and path of every file; those that vanish are left out."""
    found = []
    for path in folder.glob("*/*"):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        found.append((state.st_mtime, state.st_size, path))
    return found
