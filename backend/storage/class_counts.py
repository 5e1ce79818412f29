"""How many pictures each class has in the manifest of a run or a version."""

from __future__ import annotations

import functools
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


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
        for line in map(json.loads, manifest.read_text(encoding="utf-8").splitlines()):
            labels = set(line["labels"])
            pictures.update(labels)
            corrected.update(labels if line["regions"] else ())
            held_out.update(labels if line["part"] == "holdout" else ())
    except (OSError, ValueError, LookupError, TypeError):
        return ()
    return tuple(ClassCount(name, pictures[name], corrected[name], held_out[name]) for name in sorted(pictures))
