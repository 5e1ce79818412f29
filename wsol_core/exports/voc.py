"""PASCAL VOC: `Annotations`, `JPEGImages`, `ImageSets/Main`, and the masks in `SegmentationObject` and `...Class`.

Boxes are whole pixels, counted from 1, and both corners belong to them. In masks an object's colour is its place in the
image's list, a class's its place among the classes; where objects overlap, the smaller one is seen. Beside VOC's own
elements an object has `source` and, where it was predicted, `score`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsol_core.exports.records import ExportedImage, ExportedObject
from wsol_core.files import write_whole

MOST_OBJECTS = 254  # in the masks of an image; 0 is the background, 255 is where nobody knows


class VocFormat:
    """An image has masks where each of its objects has one."""

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folder, self._classes = folder, list(classes)
        self._splits: dict[str, list[str]] = {}
        self._segmented: dict[str, list[str]] = {}

    def picture(self, file: str, split: str) -> str:
        """In VOC's folder, whatever the picture's format."""
        return f"JPEGImages/{file}"

    def add(self, image: ExportedImage, file: str) -> None:
        """Writes the image's XML and masks."""
        stem = PurePosixPath(file).stem
        self._splits.setdefault(image.split, []).append(stem)
        segmented = 0 < len(image.objects) <= MOST_OBJECTS and all(each.mask is not None for each in image.objects)
        if segmented:
            self._segmented.setdefault(image.split, []).append(stem)
            self._write_masks(image, stem)
        root = _annotation(image, file, segmented)
        ET.indent(root)
        write_whole(self._folder / "Annotations" / f"{stem}.xml", ET.tostring(root, encoding="utf-8") + b"\n")

    def finish(self) -> None:
        """Writes the lists of the splits, the classes, and `labelmap.txt` with their colours, which CVAT asks for."""
        for kind, splits in (("Main", self._splits), ("Segmentation", self._segmented)):
            for split, stems in splits.items():
                path = self._folder / "ImageSets" / kind / f"{split}.txt"
                write_whole(path, "".join(f"{stem}\n" for stem in stems).encode())
        names = ["background", *self._classes]
        write_whole(self._folder / "labels.txt", "".join(f"{name}\n" for name in self._classes).encode())
        rows = [f"{name}:{','.join(map(str, colour))}::\n" for name, colour in zip(names, _palette(), strict=False)]
        write_whole(self._folder / "labelmap.txt", "".join(["# label:color_rgb:parts:actions\n", *rows]).encode())

    def _write_masks(self, image: ExportedImage, stem: str) -> None:
        width, height = image.size_wh
        objects, classes = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
        masks = [
            (each.mask, number, each.label) for number, each in enumerate(image.objects, 1) if each.mask is not None
        ]
        for mask, number, label in sorted(masks, key=lambda entry: -int(np.count_nonzero(entry[0]))):
            objects[mask] = number
            classes[mask] = min(self._classes.index(label) + 1, MOST_OBJECTS)
        for kind, values in (("SegmentationObject", objects), ("SegmentationClass", classes)):
            path = self._folder / kind / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(values)
            picture.putpalette(_palette().tobytes())
            picture.save(path)


def _annotation(image: ExportedImage, file: str, segmented: bool) -> ET.Element:
    width, height = image.size_wh
    root = ET.Element("annotation")
    ET.SubElement(root, "folder").text = "JPEGImages"
    ET.SubElement(root, "filename").text = file
    size = ET.SubElement(root, "size")
    for name, value in (("width", width), ("height", height), ("depth", 3)):
        ET.SubElement(size, name).text = str(value)
    ET.SubElement(root, "segmented").text = str(int(segmented))
    for each in image.objects:
        root.append(_object(each, image.size_wh))
    return root


def _object(each: ExportedObject, size_wh: tuple[int, int]) -> ET.Element:
    element = ET.Element("object")
    values = {"name": each.label, "pose": "Unspecified", "truncated": "0", "difficult": "0"}
    values["source"] = each.source.value
    if each.score is not None:
        values["score"] = f"{each.score:.6f}"
    for name, value in values.items():
        ET.SubElement(element, name).text = value
    box = ET.SubElement(element, "bndbox")
    (x0, y0, x1, y1), (width, height) = each.box_xyxy, size_wh
    left, top = min(round(x0), width - 1) + 1, min(round(y0), height - 1) + 1
    right, bottom = max(math.floor(x1 + 0.5), left), max(math.floor(y1 + 0.5), top)
    for name, corner in (("xmin", left), ("ymin", top), ("xmax", min(right, width)), ("ymax", min(bottom, height))):
        ET.SubElement(box, name).text = str(corner)
    return element


def _palette() -> NDArray[np.uint8]:
    """VOC's colours (256, 3): the bits of a number, spread over red, green and blue."""
    numbers = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for shift in range(8):
        for channel in range(3):
            bits = ((numbers >> (3 * shift + channel)) & 1) << (7 - shift)
            colours[:, channel] |= bits.astype(np.uint8)
    return colours
