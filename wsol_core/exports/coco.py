"""COCO's JSON: `annotations/instances_<split>.json`, one file a split, and the pictures in `images`.

Masks are polygons, since few readers take anything else for objects that are no crowds; or run lengths, which keep
every pixel, encoded by pycocotools. Beside COCO's own keys an image has `task`, `labels` and `reviewed`, an object
`source` and, where it was predicted, `score`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from wsol_core.errors import ConfigError
from wsol_core.exports.outlines import box_ring, outlines
from wsol_core.exports.records import ExportedImage, ExportedObject
from wsol_core.files import write_whole
from wsol_core.records import BoolMask

DECIMALS = 2  # of a coordinate in pixels

Json = dict[str, Any]


@dataclass
class _Split:
    images: list[Json] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)


class CocoFormat:
    """Categories count from 1, in the order of the classes; images have their numbers."""

    def __init__(self, folder: Path, classes: Sequence[str], run_lengths: bool = False) -> None:
        self._folder, self._run_lengths = folder, run_lengths
        self._numbers = {name: number for number, name in enumerate(classes, 1)}
        self._splits: dict[str, _Split] = {}
        self._objects = 0

    @classmethod
    def with_run_lengths(cls, folder: Path, classes: Sequence[str]) -> Self:
        """Masks to the pixel."""
        return cls(folder, classes, run_lengths=True)

    def picture(self, file: str, split: str) -> str:
        """All in one folder, so that `file_name` is the same for every split."""
        return f"images/{file}"

    def add(self, image: ExportedImage, file: str) -> None:
        """Keeps an image and its objects for `finish`."""
        split = self._splits.setdefault(image.split, _Split())
        width, height = image.size_wh
        about = {"id": image.number, "file_name": file, "width": width, "height": height, "task": image.number}
        split.images.append({**about, "labels": list(image.labels), "reviewed": image.reviewed})
        for each in image.objects:
            self._objects += 1
            split.annotations.append(self._annotation(self._objects, image.number, each))

    def finish(self) -> None:
        """Writes a file a split, with the same categories in each."""
        categories = [{"id": number, "name": name, "supercategory": ""} for name, number in self._numbers.items()]
        for name, split in self._splits.items():
            values = {
                "info": {"description": "Exported by Boxstrap"},
                "licenses": [],
                "images": split.images,
                "annotations": split.annotations,
                "categories": categories,
            }
            path = self._folder / "annotations" / f"instances_{name}.json"
            write_whole(path, (json.dumps(values, ensure_ascii=False) + "\n").encode())

    def _annotation(self, number: int, image: int, each: ExportedObject) -> Json:
        x0, y0, x1, y1 = each.box_xyxy
        box = [_rounded(value) for value in (x0, y0, x1 - x0, y1 - y0)]
        area = (x1 - x0) * (y1 - y0) if each.mask is None else float(np.count_nonzero(each.mask))
        score = {} if each.score is None else {"score": round(each.score, 6)}
        return {
            "id": number,
            "image_id": image,
            "category_id": self._numbers[each.label],
            "bbox": box,
            "area": _rounded(area),
            "iscrowd": 0,
            "segmentation": self._segmentation(each),
            "source": each.source.value,
            **score,
        }

    def _segmentation(self, each: ExportedObject) -> Json | list[list[float]]:
        """Of an object without a mask, the box: readers of masks want one for every object."""
        if each.mask is not None and self._run_lengths:
            return run_lengths(each.mask)
        rings = [box_ring(each.box_xyxy)] if each.mask is None else outlines(each.mask)
        return [[_rounded(value) for value in ring.ravel().tolist()] for ring in rings]


def run_lengths(mask: BoolMask) -> Json:
    """A mask (H, W) as COCO's compressed run lengths. ConfigError where pycocotools is not installed."""
    try:
        from pycocotools import mask as coco
    except ImportError as error:
        raise ConfigError(
            "Run lengths need the package pycocotools, which is not installed; install it, or take polygons."
        ) from error
    code = coco.encode(np.asfortranarray(mask.view(np.uint8)))
    return {"size": list(code["size"]), "counts": code["counts"].decode("ascii")}


_rounded = partial(round, ndigits=DECIMALS)
