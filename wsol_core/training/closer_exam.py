"""Whether a project's objects are small: so that from closer up, other outlines stand out more than the first look's.

No box by people is needed. Where the first look takes halos for objects, closer looks find outlines that stand out
much more; where it finds objects, they find parts, whose outlines stand out less.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from wsol_core.localization.closer_regions import looks_of
from wsol_core.localization.outline_contrast import outline_contrast
from wsol_core.localization.predictor import Predictor
from wsol_core.records import Sample

logger = logging.getLogger(__name__)

MOST_IMAGES = 32
FEWEST_OBJECTS = 12  # fewer do not tell
# Times the mean contrast of first outlines. It was 0.5 on playing cards, 1.0 and 1.3 on photographs of single objects,
# and 5 on objects of a hundredth of the image.
CLEARER = 1.6


def closer_is_clearer(predictor: Predictor, samples: Sequence[Sample]) -> bool:
    """Whether the outlines of the closest looks stand out much more than those of the first ones."""
    contrasts = []
    for pixels, looks in looks_of(predictor, samples[:MOST_IMAGES]):
        if len(looks) > 1:
            contrasts.append([outline_contrast(pixels, looks[0]), outline_contrast(pixels, looks[-1])])
    if len(contrasts) < FEWEST_OBJECTS:
        return False
    first, closest = np.mean(contrasts, axis=0)
    logger.info("Outlines of %d objects: contrast %.2f at first, %.2f closer up.", len(contrasts), first, closest)
    return bool(closest >= CLEARER * first)
