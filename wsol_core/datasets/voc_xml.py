"""The XML of PASCAL VOC and ILSVRC: an image's size, and the name and box of each object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from wsol_core.errors import DataError
from wsol_core.records import BoxXyxy


@dataclass(frozen=True, slots=True)
class XmlObject:
    """`box` as stored: both corners belong to it, and VOC counts pixels from 1."""

    name: str
    box: BoxXyxy
    difficult: bool


@dataclass(frozen=True, slots=True)
class XmlImage:
    """What a file says."""

    size_wh: tuple[int, int]
    objects: tuple[XmlObject, ...]


def read_xml(path: Path) -> XmlImage:
    """The image of a file; DataError where it is missing, torn or says something else."""
    try:
        root = ElementTree.parse(path).getroot()
        width, height = (int(_text(root, f"size/{side}")) for side in ("width", "height"))
        return XmlImage((width, height), tuple(_object(each) for each in root.iter("object")))
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); copy the data set's annotations again.") from error


def _object(element: ElementTree.Element) -> XmlObject:
    x0, y0, x1, y1 = (float(_text(element, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
    return XmlObject(_text(element, "name"), (x0, y0, x1, y1), element.findtext("difficult", "0").strip() == "1")


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"no {path}")
    return text.strip()
