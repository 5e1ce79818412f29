"""What a region is worth to the person who corrects it: two probabilities, and the time that showing it saves.

Torch-free. See training/calibration.py for what the probabilities are fitted to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from wsol_core.records import Localization, Region


@dataclass(frozen=True, slots=True)
class Calibration:
    """The probability of something, from a region's uncalibrated score s: sigmoid(scale * logit(s) + shift)."""

    scale: float = 1.0
    shift: float = 0.0

    def of(self, score: float) -> float:
        """In [0, 1]. Args: score: in (0, 1)."""
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, self.scale * logit(score) + self.shift))))

    def shifted(self, by: float) -> Calibration:
        """With other odds. Args: by: in logits; below 0 for less."""
        return Calibration(self.scale, self.shift + by)


TYPICAL_CONTRAST = 1.0  # of an outline: what speaks neither for a region nor against it


def evidence(region: Region) -> float:
    """What speaks for a region, in (0, 1): its uncalibrated score, and how far its outline stands out.

    That an object is there shows in the score, that the region ends where the object does in the outline.
    """
    if region.contrast is None:
        return region.score
    return Calibration(shift=region.contrast - TYPICAL_CONTRAST).of(region.score)


@dataclass(frozen=True, slots=True)
class Worth:
    """Makes two probabilities of a region's evidence: that a person accepts its box, and keeps the region."""

    accept: Calibration
    keep: Calibration


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that a person needs for a region. The defaults are those of boxes.

    verify: to see that a box is right: 1.7 s, as in Papadopoulos et al., "We don't need no bounding-boxes", CVPR 2016.
    draw: a box by hand: 7 s by extreme clicking (Papadopoulos et al., ICCV 2017; 35 s by ILSVRC's protocol).
    adjust: to select it and move the edges that are off, mostly one or two. Nobody measured it, nor the next.
    delete: to select and remove it: half of a drawing.
    """

    verify: float = 1.7
    adjust: float = 5.5
    delete: float = 3.6
    draw: float = 7.0

    def saved(self, accept: float, keep: float) -> float:
        """Seconds that showing a region saves on average; below 0 it costs more than it saves.

        Example:
            >>> round(Costs().saved(accept=0.5, keep=0.9), 2)
            2.04
        """
        shown = self.verify + self.adjust * (keep - accept) + self.delete * (1 - keep)
        return self.draw * keep - shown


# Of masks: 79 s to draw one in COCO (Lin et al., ECCV 2014); corrected ones took a third of polygons drawn anew.
BOX_COSTS, MASK_COSTS = Costs(), Costs(verify=2.5, adjust=26.0, delete=3.6, draw=79.0)


def worth_showing(regions: Iterable[Region], costs: Costs = BOX_COSTS) -> list[Region]:
    """Those of the regions that save time by being shown; the ones of which nothing is known are among them.

    Example:
        >>> shown = worth_showing(found.regions)
    """
    return [each for each in regions if each.keep is None or costs.saved(each.score, each.keep) > 0]


def only_worth_showing(found: Localization, costs: Costs = BOX_COSTS) -> Localization:
    """The localization with those of its regions alone that save time by being shown."""
    shown = tuple(worth_showing(found.regions, costs))
    return replace(found, regions=shown, left_out=len(found.regions) - len(shown))


def logit(share: float) -> float:
    """Of a probability in (0, 1)."""
    return math.log(share / (1 - share))
