"""Read what `predictions.jsonl` says for an export. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from PIL import Image

from wsol_core.data.folder import TRAIN, is_number, read_splits
from wsol_core.data.images import open_image_small, open_mask
from wsol_core.errors import DataError
from wsol_core.exports.records import ExportedImage, ExportedObject, Source
from wsol_core.localization.predictions_file import PREDICTIONS
from wsol_core.records import BoxXyxy


@dataclass(frozen=True, slots=True)
class PredictionsSource:
    """A file of predictions, checked.

    Attributes:
        path: The file.
        classes: All classes of the model, sorted.
        images: Where the pictures' names begin; None where that is not known.
        skipped: A sentence for each picture that could not be localized.
    """

    path: Path
    classes: tuple[str, ...]
    images: Path | None
    skipped: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, images: Path | None = None) -> PredictionsSource:
        """Read all lines once. Args: path: the file, or its folder. images: where the pictures are, if they moved.

        Raises: DataError where a line has no meaning, or the pictures are not there.
        """
        path = path / PREDICTIONS if path.is_dir() else path
        classes: set[str] = set()
        skipped = []
        for line in _lines(path):
            classes.update(line.get("scores", ()), (region["label"] for region in line.get("regions", ())))
            images = images or _images_of(line, path.parent)
            if "error" in line:
                skipped.append(str(line["error"]))
        if images is not None and not images.is_dir():
            raise DataError(f"The pictures of {path} are not in {images}; name the folder where they are.")
        return cls(path, tuple(sorted(classes)), images, tuple(skipped))

    def exported(self, min_score: float = 0.0) -> Iterator[ExportedImage]:
        """The pictures that were localized, with the objects that score at least `min_score`."""
        splits = read_splits(self.images) if self.images else {}
        for number, line in enumerate(_lines(self.path), 1):
            if "error" in line:
                continue
            file = str(line["file"])
            picture = None if self.images is None else self.images / file
            if picture is not None and not picture.is_file():
                raise DataError(f"{picture} is not there; put it back, or name the folder where the pictures are.")
            regions = [region for region in line["regions"] if float(region["score"]) >= min_score]
            objects = tuple(self._object(region) for region in regions)
            labels = tuple(dict.fromkeys(each.label for each in objects)) or _predicted_label(line)
            size_wh = self._size(line, picture)
            yield ExportedImage(file, size_wh, objects, labels, splits.get(file, TRAIN), picture, number)

    def _object(self, region: Mapping[str, Any]) -> ExportedObject:
        x0, y0, x1, y1 = (float(value) for value in region["box_xyxy"])
        box: BoxXyxy = (x0, y0, x1, y1)
        mask = open_mask(self.path.parent / region["mask"]) > 0 if region.get("mask") else None
        return ExportedObject(str(region["label"]), box, Source.PREDICTED, float(region["score"]), mask)

    def _size(self, line: Mapping[str, Any], picture: Path | None) -> tuple[int, int]:
        """Width and height, which files of older versions leave to the masks and pictures."""
        if "width" in line:
            return int(line["width"]), int(line["height"])
        if mask := next((region["mask"] for region in line["regions"] if region.get("mask")), None):
            with Image.open(self.path.parent / mask) as image:
                return image.size
        if picture is None:
            raise DataError(f"{self.path} does not say how large {line['file']} is; name the folder of the pictures.")
        return open_image_small(picture, 32)[1]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):
                    line = None
                if not _is_prediction(line):
                    raise DataError(f"{path}, line {number} is no prediction; localize the pictures again.")
                yield line
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); name a predictions.jsonl, or its folder.") from error


def _is_prediction(line: object) -> TypeGuard[dict[str, Any]]:
    """Return whether a line says what was found in a file, or why nothing could be."""
    if (
        not isinstance(line, dict)
        or not isinstance(line.get("file"), str)
        or not isinstance(line.get("scores", {}), dict)
    ):
        return False
    regions = line.get("regions", [] if "error" in line else None)
    return isinstance(regions, list) and all(map(_is_region, regions))


def _is_region(region: object) -> bool:
    if not isinstance(region, dict):
        return False
    label, box, mask = (region.get(name) for name in ("label", "box_xyxy", "mask"))
    is_box = isinstance(box, list) and len(box) == 4 and all(map(is_number, box))
    is_inside = mask is None or (isinstance(mask, str) and ".." not in mask.split("/") and not mask.startswith("/"))
    return isinstance(label, str) and is_box and is_inside and is_number(region.get("score"))


def _images_of(line: Mapping[str, Any], folder: Path) -> Path | None:
    """Where a line's picture lies, without the picture's own name."""
    picture = line.get("path")
    if not isinstance(picture, str) or not picture.endswith(f"/{line['file']}"):
        return None
    return folder / picture.removesuffix(f"/{line['file']}")


def _predicted_label(line: Mapping[str, Any]) -> tuple[str, ...]:
    label = line.get("predicted_label", line.get("label"))
    return (label,) if isinstance(label, str) else ()
