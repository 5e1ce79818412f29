"""COCO: instances_*.json for boxes, a folder of images for each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsol_core.datasets.rows import TEST, TRAIN, Object, Row, Source, first_folder
from wsol_core.errors import DataError


def coco(source: Path) -> Source:
    """The folder with annotations/instances_train2017.json, instances_val2017.json, and their images' folders.

    train becomes the split train, val the split test. Crowds are left out, and images with no other object.
    """
    files = sorted((source / "annotations").glob("instances_*.json"))
    if not files:
        raise DataError(f"{source / 'annotations'} has no instances_*.json; name the folder that has it.")
    names = {path: path.stem.removeprefix("instances_") for path in files}
    links = {name: first_folder(source, name, f"images/{name}") for name in names.values()}
    return Source(links, lambda: (row for path, name in names.items() for row in _rows(path, name)))


def _rows(path: Path, name: str) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8") as file:
            content = json.load(file, object_hook=_without_outlines)
        classes = {each["id"]: each["name"] for each in content["categories"]}
        objects: dict[int, list[Object]] = defaultdict(list)
        for each in content["annotations"]:
            if not each.get("iscrowd"):
                x, y, width, height = each["bbox"]
                drawn = Object(classes[each["category_id"]], (x, y, x + width, y + height))
                objects[each["image_id"]].append(drawn)
        for image in content["images"]:
            found = tuple(objects.get(image["id"], ()))
            if labels := tuple(sorted({each.label for each in found})):
                size = (image["width"], image["height"])
                yield Row(f"{name}/{image['file_name']}", labels, TRAIN if "train" in name else TEST, size, found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} cannot be used ({type(error).__name__}: {error}); copy it again.") from error


def _without_outlines(values: dict[str, Any]) -> dict[str, Any]:
    """Outlines are most of the file; without them it fits memory."""
    values.pop("segmentation", None)
    return values
