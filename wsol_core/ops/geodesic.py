"""Which of several seeds each place of a mask is nearest to, along paths inside the mask."""

from __future__ import annotations

import heapq
import math

import numpy as np
from numpy.typing import NDArray

from wsol_core.records import BoolMask

_WAYS = [(dy, dx, math.hypot(dy, dx)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def nearest_seeds(
    mask: BoolMask, seeds: NDArray[np.int8], colours: NDArray[np.float32], edge: float
) -> NDArray[np.int8]:
    """Return for each place of the mask the value of the seed with the shortest way to it; 0 where no way leads.

    A step costs its length, and `edge` times the difference of the colours in it, as a multiple of the mean one between
    neighbours in the mask: so a border counts as far as it stands out of the texture.

    Args:
        mask: (H, W).
        seeds: (H, W), 0 where none is. Those outside of the mask count as well.
        colours: (H, W, C).
        edge: at least 0.

    Example:
        >>> line = np.ones((1, 5), bool)
        >>> nearest_seeds(line, np.int8([[1, 0, 0, 0, 2]]), np.zeros((1, 5, 3), np.float32), 0.0).tolist()
        [[1, 1, 1, 2, 2]]
    """
    rise = edge / max(1e-6, _mean_difference(mask, colours))
    height, width = mask.shape
    far, owner = np.full(mask.shape, np.inf), np.zeros(mask.shape, np.int8)
    places = [(int(y), int(x)) for y, x in zip(*np.nonzero(seeds), strict=True)]
    heap = [(0.0, y, x) for y, x in places]
    for y, x in places:
        far[y, x], owner[y, x] = 0.0, seeds[y, x]
    while heap:
        so_far, y, x = heapq.heappop(heap)
        if so_far > far[y, x]:
            continue
        for dy, dx, length in _WAYS:
            b, a = y + dy, x + dx
            if 0 <= b < height and 0 <= a < width and mask[b, a]:
                cost = so_far + length + rise * float(np.abs(colours[b, a] - colours[y, x]).sum())
                if cost < far[b, a]:
                    far[b, a], owner[b, a] = cost, owner[y, x]
                    heapq.heappush(heap, (cost, b, a))
    return owner


def _mean_difference(mask: BoolMask, colours: NDArray[np.float32]) -> float:
    """Of the colours of neighbours that are both in the mask; 0 where there are none."""
    across = np.abs(np.diff(colours, axis=1)).sum(axis=2)[mask[:, 1:] & mask[:, :-1]]
    down = np.abs(np.diff(colours, axis=0)).sum(axis=2)[mask[1:] & mask[:-1]]
    found = np.concatenate([across, down])
    return float(found.mean()) if found.size else 0.0
