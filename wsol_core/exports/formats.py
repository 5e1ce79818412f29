"""The interface of the data set formats, and those that the library knows. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from wsol_core.exports.coco import CocoFormat
from wsol_core.exports.records import ExportedImage
from wsol_core.exports.table import CsvFormat
from wsol_core.exports.voc import VocFormat
from wsol_core.exports.yolo import YoloFormat


class DatasetFormat(Protocol):
    """Writes one data set into a folder: image by image, and what belongs to all of them at the end."""

    def picture(self, file: str, split: str) -> str:
        """Where an image's picture is to lie in the folder."""

    def add(self, image: ExportedImage, file: str) -> None:
        """Take an image. Args: file: its name in the data set, without folders; different from all others' stems."""

    def finish(self) -> None:
        """Write what can only be written once all images are known."""


OpenFormat = Callable[[Path, Sequence[str]], DatasetFormat]
"""Begins a data set in an empty folder. Args: the folder, and all class names in their order."""

FORMATS: Mapping[str, OpenFormat] = {
    "coco": CocoFormat,
    "yolo": YoloFormat,
    "yolo-seg": YoloFormat.with_outlines,
    "voc": VocFormat,
    "csv": CsvFormat,
}
