"""What a class's lone objects are like: parts of maps that differ much are neighbours that melted, or specks.

Two neighbours make one part, about twice as large as an object and less compact. How large and compact one object is
differs from class to class; the parts of a batch tell it, and whether neighbours melt at all: only then large parts are
less compact than others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wsol_core.data.composites import PlacedObject
from wsol_core.ops.masks import solidity

SMALLEST, LARGEST = 0.25, 2.2  # times the typical area of its class that an object has
COMPACTNESS = 4  # the power of its solidity, of the typical one, by which it may be larger or has to be smaller
ALL_CLASSES = 4  # parts of a class that weigh as much as those of all classes: few parts tell little
MELTING = -0.12  # correlation of parts' areas and solidities, of the typical ones: from there on neighbours melt
FEWEST_PARTS = 12  # that tell it


@dataclass(frozen=True, slots=True)
class TypicalObjects:
    """By class: the median solidity of its parts, and of the logarithms of the compact ones' areas in pixels.

    melting: whether large parts are less compact than others.
    """

    solidity: Mapping[int, float]
    log_area: Mapping[int, float]
    melting: bool

    @classmethod
    def of(cls, parts: Sequence[PlacedObject]) -> TypicalObjects:
        """What `parts` of maps, melted ones among them, and drawn objects say of the objects of their classes."""
        labels = {part.label for part in parts}
        shapes = [(part.label, solidity(part.mask), math.log(part.whole)) for part in parts]
        typical = _medians(labels, [(label, compact) for label, compact, _ in shapes])
        areas = _medians(labels, [(label, area) for label, compact, area in shapes if compact >= typical[label]])
        relative = [(math.log(compact / typical[label]), area - areas[label]) for label, compact, area in shapes]
        no_specks = [each for each in relative if each[1] >= math.log(SMALLEST)]
        return cls(typical, areas, _correlation(no_specks) <= MELTING)

    def has(self, part: PlacedObject) -> bool:
        """Whether a part, one of those that the class's typical object was made of, may be one object."""
        size = part.whole / math.exp(self.log_area[part.label])
        most = LARGEST * (solidity(part.mask) / self.solidity[part.label]) ** COMPACTNESS
        return size >= SMALLEST and (size <= most or not self.melting)


def _medians(labels: Iterable[int], values: Sequence[tuple[int, float]]) -> dict[int, float]:
    """Of the values of each label, drawn towards the median of all."""
    common = float(np.median([value for _, value in values])) if values else 0.0
    found = {}
    for label in labels:
        own = [value for other, value in values if other == label]
        middle = float(np.median(own)) if own else common
        found[label] = (len(own) * middle + ALL_CLASSES * common) / (len(own) + ALL_CLASSES)
    return found


def _correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Pearson's; 0 of too few pairs, or where one of the two does not vary."""
    if len(pairs) < FEWEST_PARTS:
        return 0.0
    first, second = np.array(pairs).T
    spread = float(first.std() * second.std())
    return float(((first - first.mean()) * (second - second.mean())).mean()) / spread if spread > 1e-9 else 0.0
