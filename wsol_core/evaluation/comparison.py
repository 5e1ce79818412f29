"""Two models compared image by image on corrected images: what each found, and whether the new one is worse.

Arrays in, numbers out; torch-free. Which images are compared, and what follows, is up to callers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from wsol_core.data.true_mask import true_mask
from wsol_core.errors import DataError
from wsol_core.ops.masks import mask_iou
from wsol_core.ops.matching import count_edits, match_regions
from wsol_core.records import BoolMask, CorrectedRegion, Region

logger = logging.getLogger(__name__)

IOU_MARGIN, EDITS_MARGIN = 0.01, 0.2  # mean losses that count where no measure is sure
RESAMPLES = 2000
LOW_SHARE, HIGH_SHARE = 0.05, 0.95  # ends of the interval
MEASURES = ("box_iou", "mask_iou", "edits")
_WORDS = {"box_iou": "box IoU", "mask_iou": "mask IoU", "edits": "edits an image"}


class ComparisonResult(StrEnum):
    """What a measure says of the new model; SAME where its interval holds 0."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class ImageScore:
    """How well the regions of an image were found.

    box_iou: mean over the true boxes of the IoU with the box matched to each, 0 where there is none. mask_iou: mean
        over the true masks that are known of the IoU with the mask of that region, 0 where there is none; None where
        no true mask is known. edits: how often a person would have to adjust, delete or add a region.
    """

    box_iou: float
    mask_iou: float | None
    edits: int


@dataclass(frozen=True, slots=True)
class Measure:
    """Means of the `live` and the `new` model over images, new minus live, and the 90 % interval of that.

    Better and worse are said where the interval lies on one side of 0.
    """

    live: float
    new: float
    difference: float
    low: float
    high: float
    result: ComparisonResult

    def to_dict(self) -> dict[str, float]:
        """The numbers."""
        numbers = {"live": self.live, "new": self.new, "difference": self.difference, "low": self.low}
        return {**numbers, "high": self.high}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What speaks for and against the new model; `mask_iou` is among the measures where true masks are known."""

    images: int
    measures: Mapping[str, Measure]

    @property
    def worse(self) -> tuple[str, ...]:
        """The measures that speak against the new model.

        Those that are surely worse. Where none is surely better either, means decide: IoUs of boxes and masks that lost
        more than 0.01 together, and more than 0.2 edits an image; few images say no more.
        """
        surely = tuple(name for name, measure in self.measures.items() if measure.result is ComparisonResult.WORSE)
        if surely or self._surely_better:
            return surely
        changes = {name: measure.difference for name, measure in self.measures.items()}
        edits = changes.pop("edits")
        lost = sum(changes.values()) / len(changes) < -IOU_MARGIN
        worse = tuple(name for name, change in changes.items() if lost and change < 0)
        return (*worse, "edits") if edits > EDITS_MARGIN else worse

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the new model."""
        return not self.worse

    @property
    def sentence(self) -> str:
        """What the comparison says with its figures, for people."""
        worse, better = [_WORDS[name] for name in self.worse], self._surely_better
        kind = f"worse in {' and '.join(worse)}" if worse else "better" if better else "not worse"
        figures = ", ".join(_figures(name, measure) for name, measure in self.measures.items())
        images = "1 corrected image" if self.images == 1 else f"{self.images} corrected images"
        return f"On {images} the new version is {kind}: {figures} (difference, 90 % interval)."

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Measure -> its numbers."""
        return {name: measure.to_dict() for name, measure in self.measures.items()}

    @property
    def _surely_better(self) -> bool:
        return any(measure.result is ComparisonResult.BETTER for measure in self.measures.values())


def _figures(name: str, measure: Measure) -> str:
    change = f"{measure.difference:+.3f}, {measure.low:+.3f} to {measure.high:+.3f}"
    return f"{_WORDS[name]} {measure.new:.3f} after {measure.live:.3f} ({change})"


def score_image(found: Sequence[Region], truth: Sequence[CorrectedRegion], size_wh: tuple[int, int]) -> ImageScore:
    """Scores what was `found` in an image of `size_wh` against its corrected regions.

    Within each class predicted and true boxes are matched one to one, largest IoU first, and so are their masks: one
    region over two objects is one of them, badly placed, and misses the other. A matched box with an IoU
    below 0.8 is an edit, as is every region without a match on either side. An image that holds no true region has
    the box IoU 1 where nothing was found in it, else 0.
    """
    pairs = match_regions(found, truth)
    edits = count_edits(pairs, len(found), len(truth))
    boxes = sum(pair.iou for pair in pairs) / len(truth) if truth else float(not found)
    masks = list(_mask_ious(truth, {pair.true: found[pair.found].mask for pair in pairs}, size_wh))
    return ImageScore(boxes, sum(masks) / len(masks) if masks else None, edits)


def _mask_ious(
    truth: Sequence[CorrectedRegion], predicted: Mapping[int, BoolMask], size_wh: tuple[int, int]
) -> Iterator[float]:
    """The IoU of each true mask that is known. Args: predicted: the mask matched to each true region, by its index."""
    for index, region in enumerate(truth):
        mask = _true_mask(region, size_wh)
        if mask is not None:
            yield mask_iou(predicted[index], mask) if index in predicted else 0.0


def _true_mask(region: CorrectedRegion, size_wh: tuple[int, int]) -> BoolMask | None:
    try:
        return true_mask([region], size_wh, within_boxes=True)
    except DataError as error:
        logger.warning("Only the box is compared: %s", error)
        return None


def compare(live: Sequence[ImageScore], new: Sequence[ImageScore], seed: int = 0) -> Comparison:
    """Compares two models' scores of the same images, in the same order, by a paired bootstrap over the images.

    Raises: DataError without images, or where there are not as many of one as of the other.
    """
    if not live or len(live) != len(new):
        raise DataError(
            f"{len(live)} scores of the live model and {len(new)} of the new one cannot be compared; "
            "score both on the same images, at least one."
        )
    measures = {}
    for name in MEASURES:
        pairs = [(getattr(a, name), getattr(b, name)) for a, b in zip(live, new, strict=True)]
        known = np.array([pair for pair in pairs if None not in pair], np.float64)
        if len(known):
            measures[name] = _measure(name, known[:, 0], known[:, 1], seed)
    return Comparison(len(live), measures)


def _measure(name: str, live: NDArray[np.float64], new: NDArray[np.float64], seed: int) -> Measure:
    """Args: live, new: (N,) of the same images."""
    differences = new - live
    means = resampled_means(differences, seed)
    low, high = (float(value) for value in np.quantile(means, (LOW_SHARE, HIGH_SHARE)))
    mean = float(differences.mean())
    up, down = ComparisonResult.BETTER, ComparisonResult.WORSE
    if name == "edits":
        up, down = down, up
    result = up if low > 0 else down if high < 0 else ComparisonResult.SAME
    return Measure(float(live.mean()), float(new.mean()), mean, low, high, result)


def resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """(RESAMPLES,) means of as many `values` (N,) drawn from them with replacement; the same for the same seed."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    return np.asarray(values[drawn].mean(axis=1), np.float64)
