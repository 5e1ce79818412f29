"""Regions and true objects of boxes alone, for figures that count objects."""

from __future__ import annotations

import numpy as np

from wsol_core.records import BoxXyxy, CorrectedRegion, Region

SIZE_WH = (100, 80)


def found(label: str, box: BoxXyxy, score: float = 0.5) -> Region:
    """A region whose mask fills its box."""
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    x0, y0, x1, y1 = (int(end) for end in box)
    mask[y0:y1, x0:x1] = True
    return Region(label, box, score, (), mask)


def true(label: str, box: BoxXyxy) -> CorrectedRegion:
    return CorrectedRegion(label, box)
