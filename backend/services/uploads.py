"""Which pictures a task can show, and what they are called where they are uploaded."""

from __future__ import annotations

import re

from PIL import Image

from wsol_core.data.file_names import is_text
from wsol_core.errors import DataError
from wsol_core.records import Sample

LARGEST_BYTES = 240 * 2**20  # of a picture; Label Studio takes 250 MB in a request
SHOWN_BY_BROWSERS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp"}


def ending_of(sample: Sample, is_uploaded: bool) -> str:
    """Return the ending of the picture's format.

    Args: is_uploaded: False where Label Studio serves it from a folder.
    Raises: DataError if no browser shows it, no task can name it, or Label Studio takes none as large.
    """
    if not is_text(sample.file):
        raise DataError(f"{sample.file!r} is not UTF-8, so no task can name it; rename the file.")
    try:
        with Image.open(sample.path) as image:
            kind = str(image.format)
    except Exception as error:  # Pillow's plugins raise all kinds
        raise DataError(f"{sample.file} is no picture that can be read ({type(error).__name__}).") from error
    if kind not in SHOWN_BY_BROWSERS:
        raise DataError(f"{sample.file} is {kind}, which browsers do not show; convert it to PNG or JPEG.")
    if is_uploaded and sample.path.stat().st_size > LARGEST_BYTES:
        most = LARGEST_BYTES // 2**20
        raise DataError(f"{sample.file} has more than {most} MB, which Label Studio does not take; make it smaller.")
    return SHOWN_BY_BROWSERS[kind]


def upload_name(sample: Sample, ending: str) -> str:
    """Return a name that every file system and address takes; the task's data has the real one."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", sample.path.stem)[:50].strip("_")
    return f"{stem or 'picture'}{ending}"
