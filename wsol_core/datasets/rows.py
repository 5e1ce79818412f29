"""What a reader of a data set yields: one image with its classes and objects, on the way to annotations.jsonl."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsol_core.errors import DataError
from wsol_core.records import BoxXyxy

TRAIN, TEST = "train", "test"


@dataclass(frozen=True, slots=True)
class Object:
    """One object; `box` (x0, y0, x1, y1) in pixels of the image, `mask` a file as `Row.file`."""

    label: str
    box: BoxXyxy
    mask: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One image.

    Attributes:
        file: Below the folder that is written, through one of the source's links.
        labels: Its classes, at least one.
        split: train, val or test.
        size_wh: Of the image in pixels, where the data set tells it.
        objects: With boxes; those without extent are left out when they are written.
        ignore: A mask of pixels that are not measured, a file as `file`.
    """

    file: str
    labels: tuple[str, ...]
    split: str
    size_wh: tuple[int, int] | None = None
    objects: tuple[Object, ...] = ()
    ignore: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """A line of annotations.jsonl."""
        values: dict[str, Any] = {"file": self.file, "split": self.split}
        values |= {"label": self.labels[0]} if len(self.labels) == 1 else {"labels": list(self.labels)}
        if self.size_wh is not None:
            values |= {"width": self.size_wh[0], "height": self.size_wh[1]}
        if kept := [each for each in self.objects if _has_extent(each.box)]:
            values["objects"] = [
                {"label": each.label, "box": list(each.box), **({} if each.mask is None else {"mask": each.mask})}
                for each in kept
            ]
        return values if self.ignore is None else {**values, "ignore": self.ignore}


@dataclass(frozen=True, slots=True)
class Source:
    """A data set. links: name below the folder that is written -> the folder of the data set that it leads to."""

    links: Mapping[str, Path]
    rows: Callable[[], Iterator[Row]]
    notes: tuple[str, ...] = field(default=())


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a text file that are not empty, one at a time; DataError where it is missing or no text."""
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if text := line.strip():
                    yield text
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read ({reason}); name the folder that the data set unpacks to.") from error


def first_folder(root: Path, *names: str) -> Path:
    """The first of the folders `names` that is there; DataError names them."""
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise DataError(f"{root} has no folder {' nor '.join(names)}; name the folder that the data set unpacks to.")


def _has_extent(box: BoxXyxy) -> bool:
    return box[0] < box[2] and box[1] < box[3]
