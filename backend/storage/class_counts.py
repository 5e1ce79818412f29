"""How many pictures each class has in the manifest of a run or a version."""

from __future__ import annotations

import functools
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from backend.errors import DamagedFileError
from backend.storage.files import read_lines


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Pictures of one class: all of them, those on which people drew or corrected, and of these the held-out ones."""

    label: str
    pictures: int
    corrected: int
    held_out: int


@functools.lru_cache(maxsize=256)
def manifest_counts(manifest: Path) -> tuple[ClassCount, ...]:
    """Return the counts of a finished manifest, which never changes, by class; none of one that is gone or damaged."""
    pictures, corrected, held_out = Counter[str](), Counter[str](), Counter[str]()
    try:
        for line in map(json.loads, read_lines(manifest)):
            labels = set(line["labels"])
            pictures.update(labels)
            corrected.update(labels if line["regions"] else ())
            held_out.update(labels if line["part"] == "holdout" else ())
    except (DamagedFileError, ValueError, LookupError, TypeError, RecursionError):
        return ()
    return tuple(ClassCount(name, pictures[name], corrected[name], held_out[name]) for name in sorted(pictures))
