"""wsolevaluation's metadata: text files for CUB, ILSVRC and OpenImages30k, with masks and ignore masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from wsol_core.data.images import open_mask
from wsol_core.datasets.rows import Object, Row, Source, first_folder, lines_of
from wsol_core.errors import DataError
from wsol_core.ops.masks import bounds
from wsol_core.records import BoxXyxy

SPLITS = ("train", "val", "test")
CLASS_DIGITS = 4  # so that names sort as numbers do


def wsolevaluation(source: Path) -> Source:
    """The repository's folder with metadata/NAME/SPLIT/*.txt and dataset/NAME, for the one NAME that has both.

    Classes are named by their numbers, 0007, in the order of the published classifiers. `val` is what the paper calls
    train-fullsup. Coordinates stay as they are stored. A mask's box is the smallest around it.
    """
    metadata, data = first_folder(source, "metadata"), first_folder(source, "dataset")
    names = sorted(path.name for path in metadata.iterdir() if path.is_dir() and (data / path.name).is_dir())
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise DataError(
            f"{source} has to hold metadata and dataset of one data set ({found} found); remove the others."
        )
    root = data / names[0]
    return Source({"images": root}, lambda: _rows(metadata / names[0], root))


def _rows(metadata: Path, root: Path) -> Iterator[Row]:
    for split in SPLITS:
        folder = metadata / split
        if not folder.is_dir():
            continue
        drawn, ignored = _localization(folder / "localization.txt")
        sizes = dict(_fields(folder / "image_sizes.txt")) if (folder / "image_sizes.txt").is_file() else {}
        for file, (number,) in _fields(folder / "class_labels.txt"):
            label = number.zfill(CLASS_DIGITS)
            size = sizes.get(file)
            size_wh = (int(size[0]), int(size[1])) if size else None
            objects = tuple(_object(label, words, file, root) for words in drawn.get(file, ()))
            ignore = ignored.get(file)
            yield Row(f"images/{file}", (label,), split, size_wh, objects, ignore and f"images/{ignore}")


def _localization(path: Path) -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    """Image -> its boxes' or masks' words, and image -> its ignore mask."""
    drawn: dict[str, list[list[str]]] = defaultdict(list)
    ignored: dict[str, str] = {}
    for file, words in _fields(path) if path.is_file() else ():
        drawn[file].append(words)
        if len(words) == 2 and words[1]:
            ignored[file] = words[1]
    return drawn, ignored


def _fields(path: Path) -> Iterator[tuple[str, list[str]]]:
    for line in lines_of(path):
        file, *words = line.split(",")
        yield file, words


def _object(label: str, words: list[str], file: str, root: Path) -> Object:
    if len(words) == 4:
        x0, y0, x1, y1 = map(float, words)
        return Object(label, (x0, y0, x1, y1))
    return Object(label, _box_of_mask(root / words[0], root / file), f"images/{words[0]}")


def _box_of_mask(mask: Path, image: Path) -> BoxXyxy:
    """In pixels of the image, whose size the mask need not have."""
    drawn = open_mask(mask)
    try:
        with Image.open(image) as opened:
            width, height = opened.size
    except OSError as error:
        raise DataError(f"{image} cannot be read as an image ({error}); copy it again.") from error
    across, down = width / drawn.shape[1], height / drawn.shape[0]
    box = (np.array(bounds(drawn > 0)) * [across, down, across, down]).round(2)
    return float(box[0]), float(box[1]), float(box[2]), float(box[3])
