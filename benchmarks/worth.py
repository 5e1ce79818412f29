"""What two probabilities of regions are worth: how far they are off, and what showing regions by them saves.

    python -m benchmarks.worth MODEL DATA [MODEL DATA ...] [--split test]

DATA has an annotations.jsonl with the true boxes of all objects. A row a model: the mean gap between probabilities and
what came true, in ten bins (expected calibration error), and the edits saved if all regions were shown, if those worth
showing are, and as the model itself expects it of those. Below stand the curves that fit the regions of all models,
each with the same weight: of models without corrections they are EXPECTED_OF_PARTS of training/calibration.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsol_core.data.folder import read_folder
from wsol_core.localization.predictor import Predictor, own_labels
from wsol_core.localization.thresholds import fit_platt_scaling
from wsol_core.localization.worth import BOX_COSTS, Calibration
from wsol_core.ops.matching import LOOSE_IOU, TIGHT_IOU, match_regions
from wsol_core.records import Localization, Sample

BINS = 10
PER_MODEL = 200  # regions that speak for a model in the fit


@dataclass(frozen=True, slots=True)
class Measured:
    """Of N regions: (N,) probabilities, IoU with the true box they were matched with, and uncalibrated scores."""

    accept: NDArray[np.float64]
    keep: NDArray[np.float64]
    iou: NDArray[np.float64]
    uncalibrated: NDArray[np.float64]
    objects: int

    def saved(self, shown: NDArray[np.bool_]) -> float:
        """The share of edits that people are spared where the regions `shown` are."""
        spared = np.count_nonzero(self.iou[shown] >= TIGHT_IOU) - np.count_nonzero(self.iou[shown] < LOOSE_IOU)
        return spared / self.objects

    @property
    def worth_showing(self) -> NDArray[np.bool_]:
        """Which regions are shown."""
        return np.array([BOX_COSTS.saved(a, k) > 0 for a, k in zip(self.accept, self.keep, strict=True)], np.bool_)


def main() -> None:
    """Measures all models, and prints a row for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs", nargs="+", type=Path, metavar="MODEL DATA")
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    if len(arguments.pairs) % 2:
        parser.error("every model needs a data folder")
    print(f"{'model':24} regions  accepted  error  kept  error  saved: all  shown  expected")
    found = []
    for model, data in zip(arguments.pairs[::2], arguments.pairs[1::2], strict=True):
        found.append(measure(model, data, arguments.split))
        print(row(model.name, found[-1]))
    for name, least in (("accept", TIGHT_IOU), ("keep", LOOSE_IOU)):
        fitted = pooled(found, least)
        print(f"{name}, all models: Calibration({fitted.scale:.2f}, {fitted.shift:.2f})")


def measure(model: Path, data: Path, split: str) -> Measured:
    """All regions of the pictures' own classes, with what the model expects of each and its true IoU."""
    predictor = Predictor.open(model)
    card = predictor.card
    if card.keep is None:
        raise SystemExit(f"{model} is of before regions had two probabilities; train it again.")
    samples = read_folder(data, split).samples
    objects = sum(len(sample.truth) for sample in samples)
    rows = list(_regions(predictor, samples))
    accept, keep, iou = np.array(rows, np.float64).reshape(-1, 3).T
    logits = (np.log(accept / (1 - accept)) - card.accept.shift) / card.accept.scale
    return Measured(accept, keep, iou, 1 / (1 + np.exp(-logits)), objects)


def _regions(predictor: Predictor, samples: Sequence[Sample]) -> Iterator[tuple[float, float, float]]:
    for sample, found in zip(samples, predictor.localize(samples, own_labels), strict=True):
        if not isinstance(found, Localization):
            continue
        matched = {pair.found: pair.iou for pair in match_regions(found.regions, sample.truth)}
        for number, region in enumerate(found.regions):
            yield region.score, region.keep or 0.0, matched.get(number, 0.0)


def row(name: str, found: Measured) -> str:
    """A line of the table."""
    shown = found.worth_showing
    accepted, kept = found.iou >= TIGHT_IOU, found.iou >= LOOSE_IOU
    expected = float(np.sum(found.accept[shown] + found.keep[shown] - 1) / found.objects)
    return (
        f"{name:24} {len(found.iou):7d}  {accepted.mean():8.3f}  {error(found.accept, accepted):5.3f}"
        f"  {kept.mean():4.2f}  {error(found.keep, kept):5.3f}  {found.saved(np.ones_like(shown)):+10.2f}"
        f"  {found.saved(shown):+5.2f}  {expected:+8.2f}"
    )


def error(expected: NDArray[np.float64], came: NDArray[np.bool_]) -> float:
    """Mean over regions of the gap between mean probability and share in its bin."""
    bins = np.minimum(BINS - 1, (expected * BINS).astype(int))
    return float(sum(abs((expected[bins == each] - came[bins == each]).sum()) for each in range(BINS)) / len(expected))


def pooled(found: Sequence[Measured], least: float) -> Calibration:
    """The curve of all models, each with as many of its regions, at even steps through them."""
    scores, right = [], []
    for each in found:
        picked = np.linspace(0, len(each.iou) - 1, PER_MODEL).astype(int)
        scores += each.uncalibrated[picked].clip(0.001, 0.999).tolist()
        right += (each.iou[picked] >= least).tolist()
    return fit_platt_scaling(scores, right)


if __name__ == "__main__":
    main()
