"""CUB-200-2011: text files with one line an image, in the layout that the archive unpacks to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wsol_core.datasets.rows import TEST, TRAIN, Object, Row, Source, first_folder, lines_of
from wsol_core.errors import DataError


def cub(source: Path) -> Source:
    """The folder CUB_200_2011, with images and the text files of their classes, splits and boxes.

    A box is (x, y, x + width, y + height) as stored, as BAS, ORNet and wsolevaluation take it.
    """
    return Source({"images": first_folder(source, "images")}, lambda: _rows(source))


def _rows(source: Path) -> Iterator[Row]:
    names = dict(_pairs(source / "classes.txt"))
    files = ("images", "image_class_labels", "train_test_split", "bounding_boxes")
    tables = (_pairs(source / f"{name}.txt") for name in files)
    for (number, file), *others in zip(*tables, strict=True):
        if any(other != number for other, _ in others):
            raise DataError(f"The text files in {source} do not list images in the same order, from image {number} on.")
        label, is_train, box = (value for _, value in others)
        if label not in names:
            raise DataError(
                f"{source / 'image_class_labels.txt'}: image {number} has class {label}, not in classes.txt."
            )
        x, y, width, height = map(float, box.split())
        drawn = Object(names[label], (x, y, x + width, y + height))
        yield Row(f"images/{file}", (names[label],), TRAIN if is_train == "1" else TEST, None, (drawn,))


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    for line in lines_of(path):
        number, _, value = line.partition(" ")
        yield number, value
