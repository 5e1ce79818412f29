"""Which images come when: shuffled anew each epoch, without end, and always the same for a seed. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_ORDER = 0  # what this module's random numbers are for


class EpochSampler:
    """Some indices of a TrainingDataset, shuffled anew each epoch, dealt out without end."""

    def __init__(self, indices: Sequence[int], seed: int, name: int) -> None:
        self.indices = np.asarray(indices, np.int64)
        self._key = (seed, _ORDER, name)

    def deal(self, start: int, count: int) -> list[tuple[int, int]]:
        """(epoch, index) at places start, start + 1, ... of the endless deal."""
        dealt: list[tuple[int, int]] = []
        while len(dealt) < count:
            epoch, place = divmod(start + len(dealt), len(self.indices))
            order = seeded_generator(*self._key, epoch).permutation(self.indices)
            dealt += [(epoch, int(index)) for index in order[place : place + count - len(dealt)]]
        return dealt


def seeded_generator(*key: int) -> np.random.Generator:
    """A generator whose numbers depend on `key` only."""
    return np.random.default_rng(np.random.SeedSequence([part % 2**64 for part in key]))
