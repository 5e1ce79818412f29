"""What an exported data set consists of, whatever its format. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from wsol_core.data.folder import TRAIN
from wsol_core.records import BoolMask, BoxXyxy


class Source(StrEnum):
    """Who says that an object is there."""

    HUMAN = "human"  # drew or changed it
    ACCEPTED = "accepted"  # predicted, and a person left it as it was
    PREDICTED = "predicted"  # nobody has looked at it


@dataclass(frozen=True, slots=True)
class ExportedObject:
    """An object, in pixels of the upright image.

    Attributes:
        box_xyxy: (x0, y0, x1, y1), x1 and y1 exclusive.
        score: How likely a person would find it right, in [0, 1]; None of what people drew.
        mask: (H, W), True on this object; None where only the box is known.
    """

    label: str
    box_xyxy: BoxXyxy
    source: Source
    score: float | None = None
    mask: BoolMask | None = None


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """An image with everything that is known of it.

    Attributes:
        name: What the source calls it: a path or an address, of which the export's file name is made.
        size_wh: (width, height) of the upright image, in pixels.
        objects: All of them; none means that the image shows none.
        labels: Its classes, as people gave them or the model saw them.
        split: Such as "train", "val" or "test".
        path: Where the image lies; None where it is to be left out.
        number: Of the task in Label Studio, 1 or more, else of the line; the same in every export of one source.
        reviewed: Whether a person has said that these are all objects.
    """

    name: str
    size_wh: tuple[int, int]
    objects: tuple[ExportedObject, ...]
    labels: tuple[str, ...] = ()
    split: str = TRAIN
    path: Path | None = None
    number: int = 0
    reviewed: bool = False
