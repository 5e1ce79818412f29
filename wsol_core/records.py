"""The value types that travel between files, learner and annotation tool. Torch-free; no reading or writing here.

Boxes are `(x0, y0, x1, y1)` in pixels of the EXIF-upright image, `x1` and `y1` exclusive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsol_core.errors import DataError

BoxXyxy = tuple[float, float, float, float]
BoolMask = NDArray[np.bool_]  # (H, W)
FloatMap = NDArray[np.float32]  # (h, w) in [0, 1]

NO_REGION, BOX_REGION, MASK_REGION = 0, 1, 2  # what is known about where an image's object is


@dataclass(frozen=True, slots=True)
class CorrectedRegion:
    """What a person drew or confirmed: strong supervision.

    Attributes:
        label: The class of the object.
        box_xyxy: (x0, y0, x1, y1) in pixels of the upright image, x1 and y1 exclusive.
        mask_path: A single-channel image of the upright image's size, non-zero on this object alone; None where only
            the box is known. Where regions of one image share a mask file, each has the part inside its box.

    Raises:
        DataError: The box is empty or not finite.

    Example:
        >>> CorrectedRegion("crab", (10, 20, 110, 90)).mask_path is None
        True
    """

    label: str
    box_xyxy: BoxXyxy
    mask_path: Path | None = None

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.box_xyxy
        if not (all(math.isfinite(v) for v in self.box_xyxy) and x0 < x1 and y0 < y1):
            raise DataError(
                f"Box {self.box_xyxy} of {self.label!r} is empty or not finite; it needs x0 < x1 and y0 < y1."
            )


@dataclass(frozen=True, slots=True)
class Sample:
    """An image with its image-level labels and, where people corrected it, regions.

    Attributes:
        file: The name that outputs carry, relative to the data folder, with forward slashes.
        path: Where the image lies; it is opened when it is needed.
        labels: Its classes; the first is the one that epochs are judged by.
        regions: What the learner may use of people's boxes and masks, one region for each object. A class that has
            some is finished in this image: they are all its objects, and nothing of it is anywhere else. Of a label
            without regions only its presence is known, and classes that are no label are absent.
        truth: Regions for measuring only; the learner never reads them.
        ignore_path: A mask of pixels that pixel metrics leave out, non-zero there; objects in it have no truth.

    Example:
        >>> sample = Sample("crab/1.jpg", Path("images/crab/1.jpg"), ("crab",))
        >>> corrected = replace(sample, regions=(CorrectedRegion("crab", (10, 20, 110, 90)),))
    """

    file: str
    path: Path
    labels: tuple[str, ...]
    regions: tuple[CorrectedRegion, ...] = ()
    truth: tuple[CorrectedRegion, ...] = ()
    ignore_path: Path | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """One localized object, in pixels of the upright image.

    Attributes:
        label: Its class.
        box_xyxy: (x0, y0, x1, y1), x1 and y1 exclusive.
        score: How likely a person would accept the box as it is (IoU 0.8), in [0, 1].
        keep: How likely a person would keep the region, as it is or changed (IoU 0.5), instead of deleting it; at least
            `score`. None where nobody knows.
        polygon: The outline, (K, 2) xy with K >= 3, or nothing; without holes.
        mask: (H, W), True on this object.
        contrast: How far the colours on both sides of its outline lie apart, in deviations of the colours around it.
            None where nobody measured.

    Example:
        >>> x0, y0, x1, y1 = map(round, region.box_xyxy)
        >>> crop = pixels[y0:y1, x0:x1]
    """

    label: str
    box_xyxy: BoxXyxy
    score: float
    polygon: tuple[tuple[float, float], ...]
    mask: BoolMask
    keep: float | None = None
    contrast: float | None = None


@dataclass(frozen=True, slots=True)
class Localization:
    """Everything predicted for one image.

    Attributes:
        file: The sample's name.
        size_wh: (width, height) of the upright image, in pixels.
        scores: Class -> probability, of all classes of the model.
        regions: The objects found, class by class, the most certain first.
        maps: Class -> activation map, (224, 224) in [0, 1]; empty unless maps were asked for.
        left_out: How many more were found that are not among `regions`, since they would cost more than they save.

    Example:
        >>> best = max(found.regions, key=lambda region: region.score, default=None)
        >>> found.label, found.scores[found.label]
        ('crab', 0.93)
    """

    file: str
    size_wh: tuple[int, int]
    scores: dict[str, float]
    regions: tuple[Region, ...] = ()
    maps: dict[str, FloatMap] = field(default_factory=dict)
    left_out: int = 0

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.scores, key=lambda name: self.scores[name])


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in a Localization's place for an image that could not be read; `reason` is a sentence for people."""

    file: str
    reason: str
