"""PASCAL VOC: XML files for boxes, text files for splits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wsol_core.datasets.rows import TEST, TRAIN, Object, Row, Source, first_folder, lines_of
from wsol_core.datasets.voc_xml import XmlObject, read_xml
from wsol_core.errors import DataError


def voc(source: Path) -> Source:
    """A folder such as VOC2012, or the VOCdevkit with one in it: JPEGImages, Annotations, ImageSets/Main.

    trainval and test become the splits train and test; without a test split, train and val do. Objects marked difficult
    are left out, and images with no other.
    """
    root = source if (source / "JPEGImages").is_dir() else _only_year(source)
    return Source({"images": first_folder(root, "JPEGImages")}, lambda: _rows(root))


def _only_year(source: Path) -> Path:
    years = sorted(path.parent for path in source.glob("*/JPEGImages"))
    if len(years) != 1:
        found = ", ".join(path.name for path in years) or "none"
        raise DataError(f"{source} has to hold one data set with JPEGImages ({found} found); name its folder.")
    return years[0]


def _rows(root: Path) -> Iterator[Row]:
    sets = root / "ImageSets" / "Main"
    tested = (sets / "test.txt").is_file()
    for file, split in (("trainval", TRAIN), ("test", TEST)) if tested else (("train", TRAIN), ("val", TEST)):
        for name in lines_of(sets / f"{file}.txt"):
            image = read_xml(root / "Annotations" / f"{name}.xml")
            objects = tuple(_counted_from_0(each) for each in image.objects if not each.difficult)
            if labels := tuple(sorted({each.label for each in objects})):
                yield Row(f"images/{name}.jpg", labels, split, image.size_wh, objects)


def _counted_from_0(drawn: XmlObject) -> Object:
    x0, y0, x1, y1 = drawn.box
    return Object(drawn.name, (x0 - 1, y0 - 1, x1, y1))
