"""Evaluation on drawn images and a method whose maps are known."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.wsol_core.evaluation.bright_objects import BOX, NAMES, predictor, white_square
from wsol_core.errors import DataError
from wsol_core.evaluation.evaluate import EvaluationReport, evaluate
from wsol_core.evaluation.mistakes import MistakeKind
from wsol_core.records import CorrectedRegion, Sample


def measured(tmp_path: Path, *samples: Sample) -> EvaluationReport:
    return evaluate(predictor(), samples)


def test_perfect_maps_give_1_on_every_metric(tmp_path: Path) -> None:
    report = measured(tmp_path, white_square(tmp_path, "a", NAMES[0]))
    ones = {name: value for name, value in report.metrics.items() if name != "pictures"}
    assert ones == pytest.approx(dict.fromkeys(ones, 1.0), abs=0.02)
    assert report.metrics["gt_known_loc"] == report.metrics["px_ap"] == 1


def test_a_wrong_class_costs_top1_and_not_gt_known(tmp_path: Path) -> None:
    report = measured(tmp_path, white_square(tmp_path, "a", NAMES[0]), white_square(tmp_path, "b", NAMES[1]))
    assert report.metrics["gt_known_loc"] == 1
    assert report.metrics["top1_loc"] == report.metrics["top1_accuracy"] == 0.5
    assert report.metrics["top5_loc"] == 1
    assert report.per_class[NAMES[1]]["top1_loc"] == 0


def test_a_box_elsewhere_is_a_miss_and_comes_first(tmp_path: Path) -> None:
    hit = white_square(tmp_path, "hit", NAMES[0])
    miss = white_square(tmp_path, "miss", NAMES[0], truth_box=(0, 0, 10, 10))
    report = measured(tmp_path, hit, miss)
    assert report.metrics["gt_known_loc"] == report.metrics["max_box_acc"] == 0.5
    assert [image.file for image in report.images] == ["miss.png", "hit.png"]
    assert report.images[0].mask_iou == 0


def test_images_without_truth_or_unreadable_are_named(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"torn")
    torn = Sample("torn.png", tmp_path / "torn.png", (NAMES[0],), truth=(CorrectedRegion(NAMES[0], BOX),))
    bare = Sample("bare.png", tmp_path / "a.png", (NAMES[0],))
    report = measured(tmp_path, white_square(tmp_path, "a", NAMES[0]), torn, bare)
    assert report.metrics["pictures"] == 1
    assert len(report.skipped) == 2
    assert any("torn.png" in reason for reason in report.skipped)


def test_nothing_to_measure_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="true box"):
        measured(tmp_path, Sample("a.png", tmp_path / "a.png", (NAMES[0],)))


def test_an_unknown_class_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="whale"):
        measured(tmp_path, white_square(tmp_path, "a", "whale"))


def test_the_report_is_plain_json(tmp_path: Path) -> None:
    report = measured(tmp_path, white_square(tmp_path, "a", NAMES[0]))
    assert json.loads(json.dumps(report.to_dict()))["metrics"] == report.metrics


def test_objects_are_counted_one_by_one_beside_the_localization_measures(tmp_path: Path) -> None:
    hit = white_square(tmp_path, "hit", NAMES[0])
    miss = white_square(tmp_path, "miss", NAMES[0], truth_box=(0, 0, 10, 10))
    objects = measured(tmp_path, hit, miss).instances
    assert objects.overall["corloc"] == objects.overall["recall80"] == 0.5
    assert (objects.overall["edits"], objects.overall["edits_by_hand"]) == (1, 1)
    assert objects.per_class[NAMES[0]]["mask_ap50"] == objects.overall["mask_ap50"] == pytest.approx(0.5, abs=0.01)
    assert [(kind, found.count) for kind, found in objects.mistakes.items() if found.count] == [
        ("missed", 1),
        ("nothing there", 1),
    ]


def test_the_objects_of_several_classes_in_an_image_are_measured(tmp_path: Path) -> None:
    both = (CorrectedRegion(NAMES[0], BOX), CorrectedRegion(NAMES[1], (0, 0, 10, 10)))
    sample = replace(white_square(tmp_path, "a", NAMES[0]), labels=NAMES, truth=both)
    objects = measured(tmp_path, sample).instances
    assert [objects.per_class[name]["corloc"] for name in NAMES] == [1, 0]
    assert objects.mistakes[MistakeKind.WRONG_CLASS].count == 1  # both classes have the same map here
    assert objects.mistakes[MistakeKind.MISSED].worst[0].mistakes[0].true == (1,)
    assert objects.overall["mask_ap"] is None


def test_without_pycocotools_the_rest_is_measured_and_the_package_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    report = measured(tmp_path, white_square(tmp_path, "a", NAMES[0]))
    assert report.metrics["gt_known_loc"] == report.instances.overall["corloc"] == 1
    assert report.instances.overall["ap50"] is None
    assert "pycocotools" in report.skipped[0]
