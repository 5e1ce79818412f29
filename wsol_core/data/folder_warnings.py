"""Say what looks like a mistake in folders of one class each. Torch-free."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from wsol_core.data.file_names import readable
from wsol_core.records import Sample

_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def folder_warnings(folder: Path, samples: Sequence[Sample]) -> Iterator[str]:
    """Return a sentence for classes that look like one, and for splits, or a single folder, above the classes.

    Args: samples: all images of the folder, each of the class that its folder is called.
    """
    filled = sorted({sample.labels[0] for sample in samples if sample.labels})
    are_splits = set(map(str.lower, filled)) <= _SPLITS
    yield from _alike_warnings(filled)
    if filled and (len(filled) == 1 or are_splits):
        yield from _nested_warning(folder, samples, filled, are_splits)


def _alike_warnings(names: Sequence[str]) -> Iterator[str]:
    """Return a sentence for classes that people would take for one."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike["".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    for several in alike.values():
        if len(several) > 1:
            found = ", ".join(map(repr, several))
            yield f"The folders {found} differ in case, blanks or the form of accents; rename them if they are one."


def _nested_warning(folder: Path, samples: Sequence[Sample], above: Sequence[str], are_splits: bool) -> Iterator[str]:
    """Return a sentence where the class folders are splits by their names, or only one, and the classes lie below."""
    below = sorted({parts[1] for sample in samples if len(parts := sample.file.split("/")) > 2})
    what = "look like splits whose classes" if are_splits else "hold what look like classes"
    if below and (len(below) > 1 or are_splits):
        found = f"The folders {', '.join(above)} are taken for classes, and {what} ({', '.join(below[:5])})"
        yield f"{found}; give {readable(str(folder / above[0]))} instead if they are."
