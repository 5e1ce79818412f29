"""The order of images: shuffled anew each epoch, without end, and always the same for a seed. Torch-free."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ORDER = 0  # what this module's random numbers are for; dataset.py's are 1, loader.py's 2


class EpochSampler:
    """Some indices of a TrainingDataset, shuffled anew each epoch; `stream` tells samplers of one seed apart.

    The orders of two epochs are kept, since batches that are made side by side may belong to two: a million indices
    take as long to shuffle as a batch takes to make. Threads may ask side by side.
    """

    def __init__(self, indices: Sequence[int], seed: int, stream: int) -> None:
        """Args: indices: ascending."""
        self.indices = np.asarray(indices, np.int64)
        self._key = (seed, _ORDER, stream)
        self._orders: dict[int, NDArray[np.int64]] = {}
        self._lock = threading.Lock()

    def take(self, start: int, count: int) -> list[tuple[int, int]]:
        """(epoch, index) at positions start, start + 1, ... of the endless sequence."""
        taken: list[tuple[int, int]] = []
        while len(taken) < count:
            epoch, position = divmod(start + len(taken), len(self.indices))
            order = self._order(epoch)
            taken += [(epoch, int(index)) for index in order[position : position + count - len(taken)]]
        return taken

    def _order(self, epoch: int) -> NDArray[np.int64]:
        with self._lock:
            if epoch not in self._orders:
                if len(self._orders) > 1:
                    self._orders.pop(min(self._orders))
                self._orders[epoch] = seeded_generator(*self._key, epoch).permutation(self.indices)
            return self._orders[epoch]


def seeded_generator(*key: int) -> np.random.Generator:
    """A generator whose numbers depend on `key` only."""
    return np.random.default_rng(np.random.SeedSequence([part % 2**64 for part in key]))
