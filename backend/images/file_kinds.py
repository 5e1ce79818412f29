"""Say what a file is that is no picture of ours, by its first bytes, and what to do with it."""

from __future__ import annotations

import re

START_BYTES = 512
_OPEN_IT = "open it, and replace it or correct the task"
_KINDS = (
    (rb"\Z", f"empty; {_OPEN_IT}"),
    (rb"(\xef\xbb\xbf)?\s*<|\xff\xfe<\0|\xfe\xff\0<", f"a web page, SVG or XML; {_OPEN_IT}"),
    (rb"....ftyp(hei[cfmsx]|hev[cmsx]|mif1|msf1)", "HEIC, which few browsers show; convert it to JPEG"),
    (rb"....ftyp", f"a video; {_OPEN_IT}"),
    (rb"\xff\n|....JXL ", "JPEG XL, which few browsers show; convert it to JPEG"),
    (rb"%PDF", "a PDF; convert its pages to JPEG"),
    (rb"\x1f\x8b|PK\x03\x04", "an archive; unpack it"),
    (rb".{128}DICM", "DICOM; convert it to PNG"),
    (rb"version https://git-lfs", "a pointer of Git LFS; fetch what it stands for with `git lfs pull`"),
    (rb"\s*[{\[]", f"JSON, perhaps an error of a server; {_OPEN_IT}"),
)


def kind_of(start: bytes) -> str:
    """Return what a file is that begins so, and what to do with it.

    Example:
        >>> kind_of(b"%PDF-1.7")
        'a PDF; convert its pages to JPEG'
    """
    found = (kind for pattern, kind in _KINDS if re.match(pattern, start, re.DOTALL))
    return next(found, f"no picture that can be read, or a torn one; {_OPEN_IT}")
