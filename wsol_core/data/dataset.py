"""Random views of labelled images; a view follows from the seed, the epoch and the index alone.

Decoding is in image_cache.py, the geometry of views in transforms.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsol_core.data.image_cache import ImageCache, ResizedObject, ResizedRegion
from wsol_core.data.sampler import seeded_generator
from wsol_core.data.transforms import Augmentation, View, draw_view
from wsol_core.records import NO_REGION, Sample

REGION_STRIDE = 4  # a Batch's regions have a quarter of the image's side
OBJECT_STRIDE = 2  # and the masks of its objects a half: neighbours that touch are told apart by their outlines
LEAST_VISIBLE = 0.25  # of a corrected object's box; less of it in the view is no object to learn
CACHE_BYTES = 512 * 2**20
_VIEW = 1  # what this module's random numbers are for


@dataclass(frozen=True, slots=True)
class ViewedObject:
    """A corrected object as a view shows it. label: index of its class. box: (4,) xyxy in shares of the view.

    mask: (S / 2, S / 2) in [0, 1], or None where only the box is known.
    """

    label: int
    box: NDArray[np.float32]
    mask: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class TrainingView:
    """One image of a batch. pixels: (S, S, 3) RGB. region: (T, T) in [0, 1]; target indexes the classes.

    objects: the corrected ones. finished: the classes all of whose objects are among them.
    """

    pixels: NDArray[np.uint8]
    labels: tuple[int, ...]
    target: int
    region_kind: int
    region: NDArray[np.float32]
    objects: tuple[ViewedObject, ...] = ()
    finished: tuple[int, ...] = ()


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
        region = image.region(target) if target is not None else None
        kind = NO_REGION if region is None else region.kind
        return TrainingView(
            view.of_pixels(image.pixels),
            tuple(self._index_of[label] for label in sample.labels),
            -1 if target is None else self._index_of[target],
            kind,
            self._cover(view, region),
            tuple(self._viewed(view, image.objects)),
            tuple({self._index_of[found.label]: None for found in image.objects}),
        )

    def _viewed(self, view: View, objects: Sequence[ResizedObject]) -> Iterator[ViewedObject]:
        """The objects of which enough is in the view."""
        for found in objects:
            box, visible = view.of_box(found.box, self._cache.resized_px)
            if visible < LEAST_VISIBLE:
                continue
            mask = None if found.mask is None else view.of_mask(found.mask, self.side_px // OBJECT_STRIDE)
            yield ViewedObject(self._index_of[found.label], box, mask)

    def _cover(self, view: View, region: ResizedRegion | None) -> NDArray[np.float32]:
        """The share of each cell (T, T) that the region covers in the view."""
        cells = self.side_px // REGION_STRIDE
        if region is None:
            return np.zeros((cells, cells), np.float32)
        if region.mask is not None:
            return view.of_mask(region.mask, cells)
        return view.of_boxes(region.boxes, self._cache.resized_px, cells)
