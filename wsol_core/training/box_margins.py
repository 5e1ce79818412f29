"""How far people's boxes reach beyond the outlines that are found: corrections tell, for the boxes of all images.

Some projects draw boxes as tight as can be, others leave room around the object. Learning from labels finds outlines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from wsol_core.ops.matching import LOOSE_IOU, match_regions
from wsol_core.records import BoxXyxy, CorrectedRegion, Region

# docs/methods.md says how each number was chosen.
PRIOR_OBJECTS = 5  # made-up ones without a margin: a few real ones must not move every box
AT_EDGE = 0.01  # of the image: a side so near to the image's edge tells nothing


def box_margin(found: Iterable[tuple[Sequence[Region], Sequence[CorrectedRegion], tuple[int, int]]]) -> float:
    """The margin, in shares of a box's side, by which a person's box reaches beyond the found one at each side.

    The median over all sides of the found objects that are on a person's object (IoU 0.5), drawn towards 0 where they
    are few; negative where people's boxes are smaller.

    Args: found: of each image, its regions without a margin, the objects that people drew, and its size (w, h).
    """
    margins: list[float] = []
    objects = 0
    for regions, drawn, size_wh in found:
        for pair in match_regions(regions, drawn, LOOSE_IOU):
            objects += 1
            margins += _margins(regions[pair.found].box_xyxy, drawn[pair.true].box_xyxy, size_wh)
    return objects / (objects + PRIOR_OBJECTS) * float(np.median(margins)) if margins else 0.0


def _margins(found: BoxXyxy, drawn: BoxXyxy, size_wh: tuple[int, int]) -> list[float]:
    """Of the sides of a found box that do not lie at the image's edge."""
    outside = np.array([1, 1, -1, -1]) * (np.asarray(found, np.float64) - np.asarray(drawn, np.float64))
    side = np.tile(np.subtract(found[2:], found[:2]), 2)
    to_edge = np.array([*found[:2], *np.subtract(size_wh, found[2:])]) / np.tile(size_wh, 2)
    return [float(share) for share in (outside / np.maximum(side, 1))[to_edge > AT_EDGE]]
