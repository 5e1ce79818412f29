"""Evaluation on drawn images and a method whose maps are known."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.wsol_core.evaluation.bright_objects import BOX, NAMES, BrightIsObject, predictor, white_square
from wsol_core.errors import DataError
from wsol_core.evaluation.evaluate import EvaluationReport, evaluate
from wsol_core.evaluation.mistakes import MistakeKind
from wsol_core.localization.predictor import Predictor
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


def test_pixels_of_an_ignore_mask_are_on_neither_side(tmp_path: Path) -> None:
    sample = white_square(tmp_path, "a", NAMES[0])
    half = np.zeros((64, 64), np.uint8)
    half[:, :32] = 255  # half of the square, which runs from 16 to 48, and only the other half is true
    for name in ("true", "ignore"):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), half if name == "ignore" else 255 - half)
    true = replace(sample.truth[0], mask_path=tmp_path / "true.png")
    incomplete = measured(tmp_path, replace(sample, truth=(true,)))
    ignoring = measured(tmp_path, replace(sample, truth=(true,), ignore_path=tmp_path / "ignore.png"))
    assert incomplete.metrics["px_ap"] < 0.7
    assert ignoring.metrics["px_ap"] == pytest.approx(1)


def test_top_1_loc_at_the_swept_threshold_wants_the_class_too(tmp_path: Path) -> None:
    samples = [white_square(tmp_path, "a", NAMES[0]), white_square(tmp_path, "b", NAMES[1])]
    missed = white_square(tmp_path, "c", NAMES[0], truth_box=(0, 0, 10, 10))
    report = evaluate(predictor(), [*samples, missed])
    assert report.metrics["max_box_acc"] == report.metrics["top5_loc_swept"] == pytest.approx(2 / 3)
    assert report.metrics["top1_loc_swept"] == pytest.approx(1 / 3)


def test_a_given_threshold_takes_the_place_of_the_models_and_its_classes(tmp_path: Path) -> None:
    known = predictor()
    known.card = replace(known.card, class_thresholds={NAMES[0]: 0.9})
    report = evaluate(known, [white_square(tmp_path, "a", NAMES[0])], threshold=0.25)
    assert (report.threshold, report.threshold_rule, known.card.threshold) == (0.25, "given", 0.5)


def test_ten_crops_decide_the_class_where_they_are_asked_for(tmp_path: Path) -> None:
    class TenAreFish(BrightIsObject):
        def class_scores(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[-2.0, 2.0]]).expand(len(images), 2)

    fish = Predictor(TenAreFish(2, False), predictor().card, "cpu", "float32")
    sample = white_square(tmp_path, "a", NAMES[1])
    assert evaluate(fish, [sample]).metrics["top1_accuracy"] == 0
    assert evaluate(fish, [sample], ten_crop=True).metrics["top1_accuracy"] == 1
