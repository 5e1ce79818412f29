"""Ultralytics' YOLO: `data.yaml`, pictures in `images/<split>`, a text file an image in `labels/<split>`.

A line is a class, counted from 0, and its box (centre, width, height) or its outline, in shares of the image. An image
without objects has an empty file, which makes it a picture of the background.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np

from wsol_core.data.folder import TRAIN
from wsol_core.exports.outlines import box_ring, outline
from wsol_core.exports.records import ExportedImage, ExportedObject
from wsol_core.files import write_whole

VALIDATION = "val"


class YoloFormat:
    """Boxes, or an outline for each object: all parts of its mask joined, the box of one without a mask."""

    def __init__(self, folder: Path, classes: Sequence[str], with_outlines: bool = False) -> None:
        self._folder, self._classes, self._with_outlines = folder, list(classes), with_outlines
        self._splits: dict[str, None] = {}

    @classmethod
    def with_outlines(cls, folder: Path, classes: Sequence[str]) -> Self:
        """For models that segment."""
        return cls(folder, classes, with_outlines=True)

    def picture(self, file: str, split: str) -> str:
        """Labels are looked for at the same path, with `labels` for `images`."""
        return f"images/{split}/{file}"

    def add(self, image: ExportedImage, file: str) -> None:
        """Writes the image's labels."""
        self._splits[image.split] = None
        lines = [self._line(each, image.size_wh) for each in image.objects]
        path = self._folder / "labels" / image.split / PurePosixPath(file).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="ascii")

    def finish(self) -> None:
        """Writes data.yaml. Ultralytics wants a training and a validation split; what is missing is the other one."""
        splits = {name: f"images/{name}" for name in self._splits}
        first = splits.get(TRAIN) or next(iter(splits.values()))
        splits = {TRAIN: first, VALIDATION: splits.get("valid") or splits.get("test") or first, **splits}
        rows = [f"{name}: {path}" for name, path in splits.items()]
        # A JSON string is a YAML string, whatever signs a class name has.
        names = [f"  {number}: {json.dumps(name)}" for number, name in enumerate(self._classes)]
        write_whole(self._folder / "data.yaml", "\n".join([*rows, "names:", *names, ""]).encode())

    def _line(self, each: ExportedObject, size_wh: tuple[int, int]) -> str:
        x0, y0, x1, y1 = each.box_xyxy
        values = np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0])
        if self._with_outlines:
            ring = None if each.mask is None else outline(each.mask)
            values = (box_ring(each.box_xyxy) if ring is None else ring).ravel()
        shares = values / np.tile(np.array(size_wh, np.float64), len(values) // 2)
        numbers = " ".join(f"{value:.6f}" for value in shares.clip(0, 1).tolist())
        return f"{self._classes.index(each.label)} {numbers}\n"
