"""Tables for spreadsheets and scripts: `objects.csv`, a row an object, `images.csv`, a row an image, and `masks`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from wsol_core.exports.records import ExportedImage

IMAGE_COLUMNS = ("file", "task", "split", "width", "height", "labels", "objects", "reviewed")
OBJECT_COLUMNS = ("file", "task", "split", "label", "x0", "y0", "x1", "y1", "source", "score", "mask")


class CsvFormat:
    """UTF-8 with a header; boxes in pixels, x1 and y1 exclusive; masks are black and white PNGs."""

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folder = folder
        self._images: list[dict[str, Any]] = []
        self._objects: list[dict[str, Any]] = []

    def picture(self, file: str, split: str) -> str:
        """All in one folder."""
        return f"images/{file}"

    def add(self, image: ExportedImage, file: str) -> None:
        """Keeps the rows, and writes the masks."""
        about = {"file": file, "task": image.number, "split": image.split}
        (width, height), labels = image.size_wh, "|".join(image.labels)
        facts = {"labels": labels, "objects": len(image.objects), "reviewed": int(image.reviewed)}
        self._images.append({**about, "width": width, "height": height, **facts})
        for number, each in enumerate(image.objects):
            mask = ""
            if each.mask is not None:
                mask = f"masks/{PurePosixPath(file).stem}__{number}.png"
                (self._folder / mask).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(each.mask).save(self._folder / mask)
            box = {name: round(value, 2) for name, value in zip(("x0", "y0", "x1", "y1"), each.box_xyxy, strict=True)}
            score = "" if each.score is None else round(each.score, 6)
            self._objects.append(
                {**about, "label": each.label, **box, "source": each.source.value, "score": score, "mask": mask}
            )

    def finish(self) -> None:
        """Writes both tables."""
        self._write("images.csv", IMAGE_COLUMNS, self._images)
        self._write("objects.csv", OBJECT_COLUMNS, self._objects)

    def _write(self, name: str, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
        with (self._folder / name).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, columns)
            table.writeheader()
            table.writerows(rows)
