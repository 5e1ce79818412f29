"""Figures that count objects: hand-made images, and random ones against the definition worked out anew."""

from __future__ import annotations

import random

import pytest

from tests.wsol_core.evaluation.boxes_and_masks import SIZE_WH, found, true
from wsol_core.evaluation.instances import Figures, InstanceReport, InstanceTally
from wsol_core.records import BoxXyxy, CorrectedRegion, Region

Image = tuple[list[Region], list[CorrectedRegion]]
LEFT, RIGHT = (0, 0, 40, 40), (60, 40, 100, 80)


def measured(*images: Image) -> InstanceReport:
    tally = InstanceTally()
    for number, (predicted, truth) in enumerate(images):
        tally.add(f"{number}.jpg", predicted, truth, SIZE_WH)
    return tally.report()


def picked(figures: Figures, *names: str) -> list[float | None]:
    return [figures[name] for name in names]


def test_perfect_predictions_cost_no_edit() -> None:
    truth = [true("cat", LEFT), true("cat", RIGHT), true("dog", (10, 50, 30, 70))]
    report = measured(([found(t.label, t.box_xyxy) for t in truth], truth))
    assert picked(report.overall, "corloc", "recall50", "recall80", "ap50", "ap", "edits_saved") == pytest.approx(
        [1] * 6
    )
    assert picked(report.overall, "edits", "edits_by_hand", "true", "predicted") == [0, 3, 3, 3]
    assert report.mean["corloc"] == 1 and report.per_class["cat"]["true"] == 2


def test_without_predictions_everything_is_drawn_by_hand() -> None:
    report = measured(([], [true("cat", LEFT)]), ([], [true("cat", LEFT), true("cat", RIGHT)]))
    assert picked(report.overall, "edits", "edits_by_hand", "edits_saved", "corloc", "ap50") == [1.5, 1.5, 0, 0, 0]


def test_one_box_over_two_objects_costs_more_than_it_saves() -> None:
    report = measured(([found("cat", (0, 0, 100, 80))], [true("cat", LEFT), true("cat", RIGHT)]))
    assert picked(report.overall, "edits", "edits_saved") == [3, -0.5]


def test_a_loose_box_is_found_and_still_an_edit() -> None:
    report = measured(([found("cat", (0, 0, 40, 28))], [true("cat", LEFT)]))
    assert picked(report.overall, "corloc", "recall50", "recall80", "edits") == [1, 1, 0, 1]


def test_corloc_takes_any_box_and_corloc_of_the_best_the_best_scored() -> None:
    report = measured(([found("cat", LEFT, 0.4), found("cat", RIGHT, 0.9)], [true("cat", LEFT)]))
    assert picked(report.per_class["cat"], "corloc", "corloc_top", "predicted") == [1, 0, 2]


def test_a_class_without_true_objects_costs_edits_and_has_no_row() -> None:
    report = measured(([found("cat", LEFT), found("dog", LEFT)], [true("cat", LEFT)]))
    assert list(report.per_class) == ["cat"] and report.overall["edits"] == 1


def test_means_are_over_classes_and_overall_shares_over_pairs_and_objects() -> None:
    hit, miss = ([found("cat", LEFT)], [true("cat", LEFT)]), ([], [true("cat", LEFT)])
    report = measured(hit, hit, miss, ([found("dog", LEFT)], [true("dog", LEFT)]))
    assert report.overall["corloc"] == report.overall["recall50"] == 0.75
    assert report.mean["corloc"] == pytest.approx((2 / 3 + 1) / 2)
    assert report.overall["ap50"] == report.mean["ap50"]


def definition(images: list[Image]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """CorLoc, recall, counts and edits worked out anew: pairs from a sorted list, sets of what is taken."""

    def iou(a: BoxXyxy, b: BoxXyxy) -> float:
        wide, high = (max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
        areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
        return wide * high / (sum(areas) - wide * high)

    def matched(boxes: list[BoxXyxy], true: list[BoxXyxy], least: float) -> int:
        pairs = [(-iou(a, b), i, j) for i, a in enumerate(boxes) for j, b in enumerate(true)]
        rows: set[int] = set()
        columns: set[int] = set()
        for negative, i, j in sorted(pairs):
            if -negative >= least and i not in rows and j not in columns:
                rows.add(i)
                columns.add(j)
        return len(rows)

    per_class: dict[str, dict[str, float]] = {}
    edits = 0
    names = ("pairs", "corloc", "top", "recall50", "recall80", "true", "predicted")
    for label in ("cat", "dog", "cow"):
        sums = dict.fromkeys(names, 0)
        for predicted, truth in images:
            boxes = [r.box_xyxy for r in sorted(predicted, key=lambda r: -r.score) if r.label == label]
            true = [t.box_xyxy for t in truth if t.label == label]
            at50, at80 = matched(boxes, true, 0.5), matched(boxes, true, 0.8)
            edits += len(true) - at80 + len(boxes) - at50
            if true:
                hits = [max(iou(box, other) for other in true) >= 0.5 for box in boxes]
                new = (1, any(hits), bool(hits and hits[0]), at50, at80, len(true), len(boxes))
                sums = {name: sums[name] + value for name, value in zip(names, new, strict=True)}
        if sums["pairs"]:
            per_class[label] = sums
    total = {name: sum(sums[name] for sums in per_class.values()) for name in names}
    found_all = sum(len(predicted) for predicted, _ in images)
    overall = shares(total) | {"edits": edits / len(images), "edits_by_hand": total["true"] / len(images)}
    overall |= {"predicted": found_all / len(images), "true": total["true"] / len(images)}
    overall["edits_saved"] = 1 - overall["edits"] / overall["true"]
    return overall, {label: shares(sums) for label, sums in per_class.items()}


def shares(sums: dict[str, float]) -> dict[str, float]:
    pairs, objects = sums["pairs"], sums["true"]
    of_pairs = {"corloc": "corloc", "corloc_top": "top", "predicted": "predicted", "true": "true"}
    of_objects = {name: sums[name] / objects for name in ("recall50", "recall80")}
    return {name: sums[key] / pairs for name, key in of_pairs.items()} | of_objects


def random_images(seed: int) -> list[Image]:
    """On a coarse grid, so that equal IoUs, hits and near misses are frequent; scores repeat as well."""
    draw = random.Random(seed)

    def box() -> BoxXyxy:
        x, y = draw.randrange(0, 60, 10), draw.randrange(0, 50, 10)
        return x, y, x + draw.choice((10, 20, 25, 40)), y + draw.choice((10, 16, 20, 30))

    def label() -> str:
        return draw.choice(("cat", "dog", "cow"))

    images: list[Image] = []
    for _ in range(12):
        truth = [true(label(), box()) for _ in range(draw.randrange(1, 5))]
        near = [found(t.label, t.box_xyxy, draw.choice((0.2, 0.6))) for t in truth if draw.random() < 0.5]
        images.append(([found(label(), box(), draw.choice((0.2, 0.5, 0.9))) for _ in range(4)] + near, truth))
    return images


@pytest.mark.parametrize("seed", range(15))
def test_figures_of_random_images_are_those_of_the_definition(seed: int) -> None:
    images = random_images(seed)
    report = measured(*images)
    overall, per_class = definition(images)
    assert {name: report.overall[name] for name in overall} == pytest.approx(overall, abs=1e-12)
    for label, row in per_class.items():
        assert {name: report.per_class[label][name] for name in row} == pytest.approx(row, abs=1e-12)
    assert list(report.per_class) == sorted(per_class)
