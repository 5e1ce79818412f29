"""ILSVRC 2012 for localization: class folders to train on, and boxes of the validation images to test on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from wsol_core.datasets.rows import TEST, TRAIN, Object, Row, Source, first_folder, lines_of
from wsol_core.datasets.voc_xml import read_xml
from wsol_core.errors import DataError
from wsol_core.records import BoxXyxy

SUFFIX = ".JPEG"
SOLUTION = "LOC_val_solution.csv"


def ilsvrc(source: Path) -> Source:
    """The folder of the CLS-LOC archives, Data/CLS-LOC/train and val, or one with train and val in it.

    Boxes of the validation images come from XML, Annotations/CLS-LOC/val or val_annotations, or from
    LOC_val_solution.csv. Their images lie in one folder or in class folders. Coordinates stay as they are stored. The
    split val of the data set becomes test, as publications use it; boxes of training images are not read.
    """
    train = first_folder(source, "Data/CLS-LOC/train", "train")
    val = first_folder(source, "Data/CLS-LOC/val", "val")
    return Source({"train": train, "val": val}, lambda: _rows(source, train, val))


def _rows(source: Path, train: Path, val: Path) -> Iterator[Row]:
    for label in _names(train, folders=True):
        for file in _names(train / label):
            yield Row(f"train/{label}/{file}", (label,), TRAIN)
    yield from _tested(source, val)


def _names(folder: Path, folders: bool = False) -> list[str]:
    """Sorted names of one folder's sub-folders or files, without looking at each file."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() == folders and not entry.name.startswith("."))


def _tested(source: Path, val: Path) -> Iterator[Row]:
    places = {name.removesuffix(SUFFIX): name for name in _names(val)}
    for label in _names(val, folders=True):
        places |= {name.removesuffix(SUFFIX): f"{label}/{name}" for name in _names(val / label)}
    if (source / SOLUTION).is_file():
        known = _from_text(source / SOLUTION)
    else:
        known = _from_xml(first_folder(source, "Annotations/CLS-LOC/val", "val_annotations"), places)
    for name, (size_wh, objects) in known:
        if name not in places:
            raise DataError(f"{val} has no image {name}{SUFFIX}, which the annotations name; copy the images again.")
        labels = tuple(dict.fromkeys(each.label for each in objects))
        yield Row(f"val/{places[name]}", labels, TEST, size_wh, objects)


_Known = Iterator[tuple[str, tuple[tuple[int, int] | None, tuple[Object, ...]]]]


def _from_xml(folder: Path, places: dict[str, str]) -> _Known:
    for name in sorted(places):
        image = read_xml(folder / f"{name}.xml")
        yield name, (image.size_wh, tuple(Object(each.name, each.box) for each in image.objects))


def _from_text(path: Path) -> _Known:
    for line in lines_of(path):
        name, _, text = line.partition(",")
        words = text.split()
        if name == "ImageId":
            continue
        if not words or len(words) % 5:
            raise DataError(f"{path}: {name} has {text!r}; it has to be class x0 y0 x1 y1, again and again.")
        yield name, (None, tuple(_object(words[i : i + 5]) for i in range(0, len(words), 5)))


def _object(words: list[str]) -> Object:
    x0, y0, x1, y1 = map(float, words[1:])
    box: BoxXyxy = (x0, y0, x1, y1)
    return Object(words[0], box)
