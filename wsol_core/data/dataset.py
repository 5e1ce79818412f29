"""Random views of labelled images; a view follows from the seed, the epoch and the index alone.

Decoding is in image_cache.py, the geometry of views in transforms.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsol_core.data.image_cache import ImageCache, ResizedRegion
from wsol_core.data.sampler import seeded_generator
from wsol_core.data.transforms import Augmentation, View, draw_view
from wsol_core.records import NO_REGION, Sample

REGION_STRIDE = 4  # a Batch's regions have a quarter of the image's side
CACHE_BYTES = 512 * 2**20
_VIEW = 1  # what this module's random numbers are for


@dataclass(frozen=True, slots=True)
class TrainingView:
    """One image of a batch. pixels: (S, S, 3) RGB. region: (T, T) in [0, 1]; target indexes the classes."""

    pixels: NDArray[np.uint8]
    labels: tuple[int, ...]
    target: int
    region_kind: int
    region: NDArray[np.float32]


class TrainingDataset:
    """Random views of labelled images; view (epoch, index) is always the same."""

    def __init__(
        self,
        samples: Sequence[Sample],
        classes: Sequence[str],
        side_px: int,
        seed: int,
        augmentation: Augmentation | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.samples = samples
        self.side_px = side_px
        self._index_of = {name: index for index, name in enumerate(classes)}
        self._seed = seed
        self._augmentation = augmentation or Augmentation()
        self._cache = ImageCache(side_px + self._augmentation.margin_px, cache_bytes)

    def __len__(self) -> int:
        return len(self.samples)

    def view(self, epoch: int, index: int) -> TrainingView | None:
        """The image as `epoch` shows it, for one of its classes drawn at random; None where it cannot be read."""
        sample = self.samples[index]
        image = self._cache.image(sample)
        if image is None:
            return None
        rng = seeded_generator(self._seed, _VIEW, epoch, index)
        target = sample.labels[int(rng.integers(len(sample.labels)))] if sample.labels else None
        view = draw_view(rng, image.pixels, self.side_px, self._augmentation)
        region = image.regions.get(target) if target is not None else None
        kind = NO_REGION if region is None else region.kind
        return TrainingView(
            view.of_pixels(image.pixels),
            tuple(self._index_of[label] for label in sample.labels),
            -1 if target is None else self._index_of[target],
            kind,
            self._cover(view, region),
        )

    def _cover(self, view: View, region: ResizedRegion | None) -> NDArray[np.float32]:
        """The share of each cell (T, T) that the region covers in the view."""
        cells = self.side_px // REGION_STRIDE
        if region is None:
            return np.zeros((cells, cells), np.float32)
        if region.mask is not None:
            return view.of_mask(region.mask, cells)
        return view.of_boxes(region.boxes, self._cache.resized_px, cells)
