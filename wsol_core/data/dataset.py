"""Random views of labelled images; a view follows from the seed, the epoch and the index alone.

Decoding is in image_cache.py, random views are in transforms.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsol_core.data.image_cache import ImageCache
from wsol_core.data.sampler import seeded_generator
from wsol_core.data.transforms import Augmentation, draw_view
from wsol_core.records import NO_REGION, Sample

REGION_STRIDE = 4  # a Batch's regions have a quarter of the image's side
CACHE_BYTES = 512 * 2**20
_VIEW = 1  # what this module's random numbers are for; those of the sampler are 0, the loader's 2


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
        self._how = augmentation or Augmentation()
        self._cache = ImageCache(side_px + self._how.margin_px, cache_bytes)

    def __len__(self) -> int:
        return len(self.samples)

    def view(self, epoch: int, index: int) -> TrainingView | None:
        """None where the image cannot be read."""
        sample = self.samples[index]
        image = self._cache.image(sample)
        if image is None:
            return None
        rng = seeded_generator(self._seed, _VIEW, epoch, index)
        target = sample.labels[int(rng.integers(len(sample.labels)))] if sample.labels else None
        view = draw_view(rng, image.pixels, self.side_px, self._how)
        cells = self.side_px // REGION_STRIDE
        region = image.regions.get(target) if target is not None else None
        kind: int
        cover: NDArray[np.float32]
        if region is None:
            kind, cover = NO_REGION, np.zeros((cells, cells), np.float32)
        elif region.mask is not None:
            kind, cover = region.kind, view.of_mask(region.mask, cells)
        else:
            kind, cover = region.kind, view.of_boxes(region.boxes, self._cache.resized_px, cells)
        labels = tuple(self._index_of[label] for label in sample.labels)
        return TrainingView(
            view.of_pixels(image.pixels), labels, self._index_of[target] if target is not None else -1, kind, cover
        )
