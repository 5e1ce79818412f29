"""Batches for training: which pictures each holds, seen how, and for which class. All of it follows from the seed.

Batch i is the same however often, in whichever order and by how many threads it is made, so that a resumed training
sees what an uninterrupted one would have seen. Decoding is picture_cache.py's, random views are augmentation.py's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsol_core.augmentation import Augmentation, draw_view
from wsol_core.cores import usable_cores
from wsol_core.errors import DataError
from wsol_core.methods.base import Batch
from wsol_core.normalisation import to_images
from wsol_core.picture_cache import PictureCache, SquashedPicture
from wsol_core.records import NO_REGION, Sample

LEAST_CORRECTED, MOST_CORRECTED = 0.25, 0.5  # shares of each batch, between which corrected pictures count twice
BACKGROUND_SHARE = 0.25  # of the batch size, on top of it
REGION_STRIDE = 4  # a Batch's regions have a quarter of the picture's side
CACHE_BYTES = 512 * 2**20
MOST_WORKERS = 8  # threads; more would wait for the interpreter
_ORDER, _VIEW, _PLACES = range(3)  # what random numbers are for


@dataclass(frozen=True, slots=True)
class TrainingView:
    """One picture of a batch. pixels: (S, S, 3) RGB. region: (T, T) in [0, 1]; target indexes the classes."""

    pixels: NDArray[np.uint8]
    labels: tuple[int, ...]
    target: int
    region_kind: int
    region: NDArray[np.float32]


class TrainingSet:
    """Random views of labelled pictures; view (epoch, index) is always the same."""

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
        self._cache = PictureCache(side_px + self._how.margin_px, cache_bytes)

    def __len__(self) -> int:
        return len(self.samples)

    def view(self, epoch: int, index: int) -> TrainingView | None:
        """None where the picture cannot be read."""
        sample = self.samples[index]
        picture = self._cache.picture(sample)
        if picture is None:
            return None
        rng = _generator(self._seed, _VIEW, epoch, index)
        target = sample.labels[int(rng.integers(len(sample.labels)))] if sample.labels else None
        view = draw_view(rng, picture.pixels, self.side_px, self._how)
        cells = self.side_px // REGION_STRIDE
        region = picture.regions.get(target) if target is not None else None
        kind: int
        cover: NDArray[np.float32]
        if region is None:
            kind, cover = NO_REGION, np.zeros((cells, cells), np.float32)
        elif region.mask is not None:
            kind, cover = region.kind, view.of_mask(region.mask, cells)
        else:
            kind, cover = region.kind, view.of_boxes(region.boxes, self._cache.squashed_px, cells)
        labels = tuple(self._index_of[label] for label in sample.labels)
        return TrainingView(
            view.of_pixels(picture.pixels), labels, self._index_of[target] if target is not None else -1, kind, cover
        )


class Deck:
    """Some indices of a TrainingSet, shuffled anew each epoch, dealt out without end."""

    def __init__(self, indices: Sequence[int], seed: int, name: int) -> None:
        self.indices = np.asarray(indices, np.int64)
        self._key = (seed, _ORDER, name)

    def deal(self, start: int, count: int) -> list[tuple[int, int]]:
        """(epoch, index) at places start, start + 1, ... of the endless deal."""
        dealt: list[tuple[int, int]] = []
        while len(dealt) < count:
            epoch, place = divmod(start + len(dealt), len(self.indices))
            order = _generator(*self._key, epoch).permutation(self.indices)
            dealt += [(epoch, int(index)) for index in order[place : place + count - len(dealt)]]
        return dealt


class TrainingPictures:
    """Batches of labelled pictures, shared out over the processes of a training; batches of one seed are fixed.

    Where people corrected less than half of the pictures, those are shown twice as often as their number asks for, and
    make up a quarter of every batch at least and half of it at most. With `backgrounds`, pictures of those files
    without any object come on top, a quarter of the batch size.
    Unreadable pictures are skipped with a warning and replaced by the next one.
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
        """Args: workers: threads that decode, 0 for the caller's own, -1 for one a core (at most 8)."""
        if not samples:
            raise DataError(
                "There are no pictures to train on; name a folder with one sub-folder of pictures per class."
            )
        self._set = TrainingSet(samples, classes, side_px, seed, augmentation, cache_bytes)
        empty = [Sample(path.name, path, ()) for path in backgrounds]
        self._background_set = TrainingSet(empty, (), side_px, seed + 1, augmentation, cache_bytes // 4)
        self._seed, self._classes = seed, len(classes)
        self._rank, self._world = rank, world_size
        self._workers = workers if workers >= 0 else min(MOST_WORKERS, usable_cores())
        self._pin = pin_memory
        self._decks = self._make_decks(samples, batch_size)
        self._epoch_batches = max(1, round(len(samples) / (batch_size * world_size)))
        self._background_deck = Deck(range(len(empty)), seed, 2)
        self._background_count = max(1, int(batch_size * BACKGROUND_SHARE)) if empty else 0

    def _make_decks(self, samples: Sequence[Sample], batch_size: int) -> list[tuple[Deck, int]]:
        """Decks and how many pictures of each go into one process's batch."""
        corrected = [index for index, sample in enumerate(samples) if sample.regions]
        weak = [index for index, sample in enumerate(samples) if not sample.regions]
        share = min(MOST_CORRECTED, max(LEAST_CORRECTED, 2 * len(corrected) / len(samples)))
        if not corrected or batch_size == 1 or len(corrected) >= share * len(samples):
            return [(Deck(range(len(samples)), self._seed, 0), batch_size)]
        strong = max(1, round(share * batch_size))
        return [(Deck(weak, self._seed, 0), batch_size - strong), (Deck(corrected, self._seed, 1), strong)]

    @property
    def batches_per_epoch(self) -> int:
        """How many batches of one process hold as many pictures as there are."""
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
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="pictures")
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
        views = [view for deck, count in self._decks for view in self._views(self._set, deck, index, count)]
        # Micro batches are slices, so corrected pictures have to be spread over the batch.
        order = _generator(self._seed, _PLACES, index, self._rank).permutation(len(views))
        views = [views[place] for place in order]
        labels = torch.zeros(len(views), self._classes)
        for row, view in enumerate(views):
            labels[row, list(view.labels)] = 1
        backgrounds = None
        if self._background_count:
            empty = self._views(self._background_set, self._background_deck, index, self._background_count)
            backgrounds = self._pinned(to_images(np.stack([view.pixels for view in empty])))
        return Batch(
            images=self._pinned(to_images(np.stack([view.pixels for view in views]))),
            labels=self._pinned(labels),
            target=self._pinned(torch.tensor([view.target for view in views])),
            region_kind=self._pinned(torch.tensor([view.region_kind for view in views])),
            region=self._pinned(torch.from_numpy(np.stack([view.region for view in views]))),
            backgrounds=backgrounds,
        )

    def _views(self, pictures: TrainingSet, deck: Deck, batch: int, count: int) -> Iterator[TrainingView]:
        """This process's `count` views of the batch."""
        start = (batch * self._world + self._rank) * count
        for epoch, index in deck.deal(start, count):
            yield first_readable(pictures.view, epoch, index, deck.indices)

    def _pinned(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if self._pin else tensor


def first_readable(
    view: Callable[[int, int], TrainingView | None], epoch: int, index: int, among: NDArray[np.int64]
) -> TrainingView:
    """View (epoch, index), or the next one's in `among` where that cannot be read; it depends on nothing else."""
    place = int(np.flatnonzero(among == index)[0])
    for step in range(len(among)):
        found = view(epoch, int(among[(place + step) % len(among)]))
        if found is not None:
            return found
    raise DataError(f"None of {len(among)} pictures can be read; see the warnings above for the reason of each.")


def plain_images(samples: Sequence[Sample], side_px: int) -> tuple[list[Sample], Tensor]:
    """The readable ones of `samples`, and their pictures (N, 3, S, S): squashed, not augmented, all in memory."""
    read: list[tuple[Sample, SquashedPicture]] = []
    cache = PictureCache(side_px, 0)
    with ThreadPoolExecutor(min(MOST_WORKERS, usable_cores())) as pool:
        for sample, picture in zip(samples, pool.map(cache.picture, samples), strict=True):
            if picture is not None:
                read.append((sample, picture))
    if not read:
        return [], torch.zeros(0, 3, side_px, side_px)
    return [sample for sample, _ in read], to_images(np.stack([picture.pixels for _, picture in read]))


def _generator(*key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([part % 2**64 for part in key]))
