"""Batches for training, which follow from the seed: their images, the view of each, and the class it is trained for.

Batch i is the same however often, in whichever order and by how many threads it is made, so that a resumed training
sees what an uninterrupted one would have seen. This is why it is no torch DataLoader: that one neither starts at any
batch nor shares one cache of decoded images among its workers. Views are in dataset.py, their order is in sampler.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsol_core.cores import usable_cores
from wsol_core.data.batch import Batch, CorrectedObjects
from wsol_core.data.dataset import CACHE_BYTES, OBJECT_STRIDE, TrainingDataset, TrainingView
from wsol_core.data.image_cache import ImageCache, ResizedImage
from wsol_core.data.normalization import to_images
from wsol_core.data.sampler import EpochSampler, seeded_generator
from wsol_core.data.transforms import Augmentation
from wsol_core.errors import DataError
from wsol_core.records import Sample

LEAST_CORRECTED, MOST_CORRECTED = 0.25, 0.5  # shares of each batch, between which corrected images count twice
BACKGROUND_SHARE = 0.25  # of the batch size, on top of it
MOST_WORKERS = 8  # threads; more would wait for the interpreter
_SHUFFLE = 2  # what this module's random numbers are for


class BatchLoader:
    """Batches of labelled images, shared out over the processes of a training; a seed fixes them all.

    Where people corrected less than half of the images, those are shown twice as often as their number asks for, and
    make up a quarter of every batch at least and half of it at most. With `backgrounds`, images of those files
    without any object come on top, a quarter of the batch size.
    Unreadable images are skipped with a warning and replaced by the next one.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        classes: Sequence[str],
        *,
        side_px: int,
        batch_size: int,
        seed: int,
        backgrounds: Sequence[Path] = (),
        augmentation: Augmentation | None = None,
        rank: int = 0,
        world_size: int = 1,
        workers: int = -1,
        pin_memory: bool = False,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """Args: workers: threads that decode, 0 for none, -1 for one a core (at most 8)."""
        if not samples:
            raise DataError("There are no images to train on; name a folder with one sub-folder of images per class.")
        self._dataset = TrainingDataset(samples, classes, side_px, seed, augmentation, cache_bytes)
        empty = [Sample(path.name, path, ()) for path in backgrounds]
        self._background_dataset = TrainingDataset(empty, (), side_px, seed + 1, augmentation, cache_bytes // 4)
        self._seed, self._classes = seed, len(classes)
        self._rank, self._world = rank, world_size
        self._workers = workers if workers >= 0 else min(MOST_WORKERS, usable_cores())
        self._pin = pin_memory
        self._samplers = self._make_samplers(samples, batch_size)
        self._epoch_batches = max(1, round(len(samples) / (batch_size * world_size)))
        self._background_sampler = EpochSampler(range(len(empty)), seed, 2)
        self._background_count = max(1, int(batch_size * BACKGROUND_SHARE)) if empty else 0

    def _make_samplers(self, samples: Sequence[Sample], batch_size: int) -> list[tuple[EpochSampler, int]]:
        """Samplers, and how many images of each one process's batch holds."""
        corrected = [index for index, sample in enumerate(samples) if sample.regions]
        weak = [index for index, sample in enumerate(samples) if not sample.regions]
        share = min(MOST_CORRECTED, max(LEAST_CORRECTED, 2 * len(corrected) / len(samples)))
        if not corrected or batch_size == 1 or len(corrected) >= share * len(samples):
            return [(EpochSampler(range(len(samples)), self._seed, 0), batch_size)]
        strong = max(1, round(share * batch_size))
        return [
            (EpochSampler(weak, self._seed, 0), batch_size - strong),
            (EpochSampler(corrected, self._seed, 1), strong),
        ]

    @property
    def batches_per_epoch(self) -> int:
        """How many batches of one process hold as many images as there are."""
        return self._epoch_batches

    def batches(self, start: int = 0) -> Generator[Batch, None, None]:
        """Batches `start`, `start + 1`, ... without end; close the generator to end its threads.

        A few batches are made ahead, so memory is bounded by the number of threads.
        """
        if self._workers == 0:
            index = start
            while True:
                yield self.batch(index)
                index += 1
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="image-loader")
        ahead: deque[Future[Batch]] = deque()
        try:
            index = start
            while True:
                while len(ahead) <= self._workers:
                    ahead.append(pool.submit(self.batch, index))
                    index += 1
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def batch(self, index: int) -> Batch:
        """Batch `index` of this process."""
        views = [
            view for sampler, count in self._samplers for view in self._views(self._dataset, sampler, index, count)
        ]
        # Micro batches are slices, so corrected images have to be spread over the batch.
        order = seeded_generator(self._seed, _SHUFFLE, index, self._rank).permutation(len(views))
        views = [views[row] for row in order]
        labels = torch.zeros(len(views), self._classes)
        for row, view in enumerate(views):
            labels[row, list(view.labels)] = 1
        backgrounds = None
        if self._background_count:
            empty = self._views(self._background_dataset, self._background_sampler, index, self._background_count)
            backgrounds = self._pinned(to_images(np.stack([view.pixels for view in empty])))
        return Batch(
            images=self._pinned(to_images(np.stack([view.pixels for view in views]))),
            labels=self._pinned(labels),
            target=self._pinned(torch.tensor([view.target for view in views])),
            region_kind=self._pinned(torch.tensor([view.region_kind for view in views])),
            region=self._pinned(torch.from_numpy(np.stack([view.region for view in views]))),
            backgrounds=backgrounds,
            objects=self._objects(views),
            finished=self._finished(views),
        )

    def _objects(self, views: Sequence[TrainingView]) -> CorrectedObjects | None:
        found = [(row, drawn) for row, view in enumerate(views) for drawn in view.objects]
        if not found:
            return None
        cells = self._dataset.side_px // OBJECT_STRIDE
        empty = np.zeros((cells, cells), np.float32)
        masks = np.stack([empty if drawn.mask is None else drawn.mask for _, drawn in found])
        return CorrectedObjects(
            image=self._pinned(torch.tensor([row for row, _ in found])),
            label=self._pinned(torch.tensor([drawn.label for _, drawn in found])),
            boxes=self._pinned(torch.from_numpy(np.stack([drawn.box for _, drawn in found]))),
            masks=self._pinned(torch.from_numpy(masks)),
            has_mask=self._pinned(torch.tensor([drawn.mask is not None for _, drawn in found])),
        )

    def _finished(self, views: Sequence[TrainingView]) -> Tensor | None:
        if not any(view.finished for view in views):
            return None
        finished = torch.zeros(len(views), self._classes, dtype=torch.bool)
        for row, view in enumerate(views):
            finished[row, list(view.finished)] = True
        return self._pinned(finished)

    def _views(self, dataset: TrainingDataset, sampler: EpochSampler, batch: int, count: int) -> Iterator[TrainingView]:
        """This process's `count` views of the batch."""
        start = (batch * self._world + self._rank) * count
        for epoch, index in sampler.take(start, count):
            yield first_readable(dataset.view, epoch, index, sampler.indices)

    def _pinned(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if self._pin else tensor


def first_readable(
    view: Callable[[int, int], TrainingView | None], epoch: int, index: int, among: NDArray[np.int64]
) -> TrainingView:
    """View (epoch, index), or the next one's in `among` where that cannot be read; it depends on nothing else.

    Args: among: ascending, with `index` in it.
    """
    first = int(np.searchsorted(among, index))
    for step in range(len(among)):
        found = view(epoch, int(among[(first + step) % len(among)]))
        if found is not None:
            return found
    raise DataError(f"None of {len(among)} images can be read; see the warnings above for the reason of each.")


def plain_images(samples: Sequence[Sample], side_px: int) -> tuple[list[Sample], Tensor]:
    """The readable ones of `samples`, and their images (N, 3, S, S): resized, not augmented, all in memory."""
    read: list[tuple[Sample, ResizedImage]] = []
    cache = ImageCache(side_px, 0)
    with ThreadPoolExecutor(min(MOST_WORKERS, usable_cores())) as pool:
        for sample, image in zip(samples, pool.map(cache.image, samples), strict=True):
            if image is not None:
                read.append((sample, image))
    if not read:
        return [], torch.zeros(0, 3, side_px, side_px)
    return [sample for sample, _ in read], to_images(np.stack([image.pixels for _, image in read]))
