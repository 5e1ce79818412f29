"""Figures that count objects: predicted regions and true ones, one to one, in images of one class or several.

Torch-free. See average_precision.py for AP and mistakes.py for what went wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from wsol_core.errors import ConfigError
from wsol_core.evaluation.average_precision import AveragePrecision
from wsol_core.evaluation.mistakes import MistakeCollection, MistakeKind, MistakesOfKind
from wsol_core.localization.worth import worth_showing
from wsol_core.ops.matching import LOOSE_IOU, TIGHT_IOU, count_edits, match_boxes
from wsol_core.records import BoxXyxy, CorrectedRegion, Region

Figures = dict[str, float | None]
PRECISIONS = ("ap50", "ap", "mask_ap50", "mask_ap")
_RATES = ("corloc", "corloc_top", "recall50", "recall80")

PROTOCOL = {
    "objects": "regions and true boxes, matched one to one within the class, largest IoU first; far corners exclusive",
    "CorLoc": "share of (image, class in it) pairs where a box of the class has IoU >= .5 with a true one",
    "CorLoc of the best": "the same for the best-scored box of the class alone",
    "AP50, AP": "COCO's average precision (pycocotools), mean over classes: at IoU .5; mean over IoU .5, .55, ... .95",
    "mask AP50, mask AP": "the same for masks; only where every true object has a mask of its own",
    "recall .5, .8": "share of the true objects that are matched at that IoU",
    "edits": "an image: true objects without a match at IoU >= .8, which a person draws or adjusts, and predictions "
    "without a match at IoU >= .5, which are deleted; by hand every true object is drawn",
    "shown": "objects an image that are worth showing: time is saved on average; edits and mistakes are of those alone",
    "edits saved": "1 - edits / edits by hand; below 0 people are better off without predictions",
}


@dataclass(frozen=True, slots=True)
class InstanceReport:
    """Objects, counted one by one.

    Attributes:
        overall: Name -> value. In [0, 1]: "corloc" and "corloc_top" over (image, class) pairs, "recall50" and
            "recall80" over objects, and the average precisions "ap50", "ap", "mask_ap50" and "mask_ap", means over
            classes, None where they were not measured. An image: "predicted", "shown" and "true" objects, "edits" with
            the predictions that are shown and "edits_by_hand" without. "edits_saved": at most 1, and below 0 where
            predictions cost more than they save. "pictures": how many images.
        mean: The plain mean over classes of what is in [0, 1].
        per_class: Class -> the same, without edits; "pictures" are those that show the class, and "predicted" and
            "true" count in them.
        mistakes: Every kind of mistake, with numbers and the worst images.
    """

    overall: Figures
    mean: Figures
    per_class: dict[str, Figures]
    mistakes: dict[MistakeKind, MistakesOfKind] = field(default_factory=dict)


class InstanceTally:
    """Takes image by image what was found and what is there; keeps a few numbers for each object.

    Attributes: not_measured: a sentence where average precision could not be measured.

    Example:
        >>> tally = InstanceTally()
        >>> tally.add(sample.file, found.regions, sample.truth, found.size_wh)
        >>> tally.report().overall["edits_saved"]
        0.31
    """

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._images = self._predicted = self._shown = self._edits = 0
        self._mistakes = MistakeCollection()
        self._precision: AveragePrecision | None = None
        self.not_measured: tuple[str, ...] = ()
        try:
            self._precision = AveragePrecision()
        except ConfigError as error:
            self.not_measured = (str(error),)

    def add(
        self, file: str, found: Sequence[Region], truth: Sequence[CorrectedRegion], size_wh: tuple[int, int]
    ) -> None:
        """Takes one image of `size_wh` pixels, all of whose objects are in `truth`."""
        ranked = sorted(found, key=lambda region: -region.score)
        self._images += 1
        shown = worth_showing(ranked)
        self._predicted, self._shown = self._predicted + len(found), self._shown + len(shown)
        for label in dict.fromkeys([*(region.label for region in truth), *(region.label for region in ranked)]):
            true = [region.box_xyxy for region in truth if region.label == label]
            self._count(label, ranked, true)
            boxes = [region.box_xyxy for region in shown if region.label == label]
            self._edits += count_edits(match_boxes(boxes, true, LOOSE_IOU), len(boxes), len(true))
        self._mistakes.add(file, shown, truth, size_wh)
        if self._precision is not None:
            self._precision.add(ranked, truth, size_wh)

    def _count(self, label: str, ranked: Sequence[Region], true: Sequence[BoxXyxy]) -> None:
        found = [region.box_xyxy for region in ranked if region.label == label]
        pairs = match_boxes(found, true, LOOSE_IOU)
        tight = sum(pair.iou >= TIGHT_IOU for pair in pairs)
        if true:
            best = match_boxes(found[:1], true, LOOSE_IOU)
            numbers = {"corloc": bool(pairs), "corloc_top": bool(best), "recall50": len(pairs), "recall80": tight}
            self._counts[label].update(numbers, pictures=1, predicted=len(found), true=len(true))

    def report(self) -> InstanceReport:
        """The figures of everything taken, at least one image with a true object."""
        classes = sorted(self._counts)
        precision = {} if self._precision is None else self._precision.by_class()
        per_class = {
            label: _shares(self._counts[label])
            | (precision[label].to_dict() if precision else dict.fromkeys(PRECISIONS))
            for label in classes
        }
        mean = {name: _mean([row[name] for row in per_class.values()]) for name in (*_RATES, *PRECISIONS)}
        counts = sum(self._counts.values(), Counter[str]())
        edits, by_hand = self._edits / self._images, counts["true"] / self._images
        overall: Figures = _shares(counts) | {name: mean[name] for name in PRECISIONS}
        overall |= {"pictures": float(self._images), "predicted": self._predicted / self._images, "true": by_hand}
        overall["shown"] = self._shown / self._images
        overall |= {"edits": edits, "edits_by_hand": by_hand, "edits_saved": 1 - edits / by_hand}
        return InstanceReport(overall, mean, per_class, self._mistakes.by_kind())


def _shares(counts: Counter[str]) -> Figures:
    """Of pairs of an image and a class, and of objects."""
    pairs, objects = counts["pictures"], counts["true"]
    return {
        "pictures": float(pairs),
        "corloc": counts["corloc"] / pairs,
        "corloc_top": counts["corloc_top"] / pairs,
        "recall50": counts["recall50"] / objects,
        "recall80": counts["recall80"] / objects,
        "predicted": counts["predicted"] / pairs,
        "true": objects / pairs,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
