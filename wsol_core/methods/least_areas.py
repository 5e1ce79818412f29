"""How large a class's objects are: parts of maps that are far smaller are specks. The parts of a batch tell it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from wsol_core.data.composites import PlacedObject

LEAST_AREA = 0.25  # of the typical area of its class that an object has
ALL_CLASSES = 4  # parts of a class that weigh as much as those of all classes: few parts tell little


def least_areas(parts: Sequence[PlacedObject]) -> dict[int, float]:
    """By class, the area in pixels from which a part is an object and no speck.

    Args: parts: parts of maps, specks among them, and drawn objects.

    Example:
        >>> least_areas([PlacedObject(0, mask, 400) for mask in masks])
        {0: 100.0}
    """
    logs: dict[int, list[float]] = {}
    for part in parts:
        logs.setdefault(part.label, []).append(math.log(part.whole))
    common = float(np.median([log for own in logs.values() for log in own])) if logs else 0.0
    found = {}
    for label, own in logs.items():
        typical = (len(own) * float(np.median(own)) + ALL_CLASSES * common) / (len(own) + ALL_CLASSES)
        found[label] = LEAST_AREA * math.exp(typical)
    return found
