"""An image's maps on their way from the network to regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsol_core.data.images import RgbPixels
from wsol_core.localization.instances import ObjectFields
from wsol_core.records import FloatMap, Sample


@dataclass(frozen=True, slots=True)
class ImageMaps:
    """An image's final maps, before any threshold.

    Attributes:
        size_wh: of the upright image, in pixels.
        pixels: the image resized, (224, 224, 3) RGB.
        scores: class -> probability, of all classes.
        maps: class -> activation map (224, 224) in [0, 1], of the classes asked for.
        given: whether somebody says that the classes asked for are there.
        fields: where single objects are, of a method that tells them apart.
    """

    sample: Sample
    size_wh: tuple[int, int]
    pixels: RgbPixels
    scores: dict[str, float]
    maps: dict[str, FloatMap]
    given: bool = False
    fields: ObjectFields | None = None

    def presence(self, label: str) -> float:
        """The probability that the image shows the class; 1 where somebody says so."""
        return 1.0 if self.given else self.scores[label]


@dataclass(frozen=True, slots=True)
class RawMap:
    """A class, its probability, and its activation map (h, w) as the method has it, neither resized nor refined."""

    label: str
    presence: float
    values: NDArray[np.float32]
