"""Disks that take nothing any more, or soon will not, in sentences for people."""

from __future__ import annotations

import os
from pathlib import Path

LITTLE_BYTES = 50 * 2**20  # for records, checkpoints of small backbones, and what people said


def disk_notice(folder: Path, needed_bytes: int = LITTLE_BYTES) -> str | None:
    """Return why nothing of `needed_bytes` can be kept in a folder, and what to do; None where it can."""
    nearest = next(path for path in (folder, *folder.parents) if path.is_dir())
    found = os.statvfs(nearest)
    if found.f_flag & os.ST_RDONLY:
        return f"{folder} is on a disk that cannot be written, so trainings wait; mount the file system for writing."
    if found.f_bavail * found.f_frsize < needed_bytes:
        return f"{folder} has less than {needed_bytes // 2**20} MB left, so trainings wait; make room."
    return None
