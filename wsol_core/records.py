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

    `mask_path` names a single-channel image of the upright image's size, non-zero on the object, or is None
    when only the box is known. Regions of one image may share a mask file; each uses the part inside its box.
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

    `file` is the name that outputs carry (relative to the data folder, with forward slashes).
    `truth` holds regions for measuring only; the learner never reads it. `regions` is what the learner may use.
    """

    file: str
    path: Path
    labels: tuple[str, ...]
    regions: tuple[CorrectedRegion, ...] = ()
    truth: tuple[CorrectedRegion, ...] = ()


@dataclass(frozen=True, slots=True)
class Region:
    """One localized object. `score` is in [0, 1]; `polygon` is the outline, (K, 2) xy pixels, K >= 3 or K == 0."""

    label: str
    box_xyxy: BoxXyxy
    score: float
    polygon: tuple[tuple[float, float], ...]
    mask: BoolMask  # (H, W) of the upright image; True on this object


@dataclass(frozen=True, slots=True)
class Localization:
    """Everything predicted for one image. `maps` holds the activation map (h, w) of each class that was asked for."""

    file: str
    size_wh: tuple[int, int]
    scores: dict[str, float]
    regions: tuple[Region, ...] = ()
    maps: dict[str, FloatMap] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.scores, key=lambda name: self.scores[name])


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in a Localization's place for an image that could not be read; `reason` is a sentence."""

    file: str
    reason: str
