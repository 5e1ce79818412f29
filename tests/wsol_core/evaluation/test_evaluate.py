"""Evaluation and its HTML report, on drawn images and a method whose maps are known."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from wsol_core.config import TrainConfig
from wsol_core.data.batch import Batch
from wsol_core.errors import DataError
from wsol_core.evaluation.evaluate import EvaluationReport, evaluate
from wsol_core.evaluation.report import WORST, shown, write_report
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import Predictor
from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
from wsol_core.records import CorrectedRegion, Sample

BOX = (16, 24, 48, 56)
NAMES = ("<i>crab</i>", "fish")


class BrightIsObject(WsolMethod):
    """The map is the image's brightness, and everything is the first class: a method with known results."""

    stages: ClassVar[tuple[str, ...]] = ("classify",)

    def begin_stage(self, stage: str) -> None:
        """Nothing to do."""

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """None."""
        return []

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """None."""
        return {}

    def forward(self, images: Tensor) -> Prediction:
        """Brightness above the mean colour."""
        logits = torch.tensor([[2.0, -2.0]]).expand(len(images), 2)
        return Prediction(logits, (images.mean(1, keepdim=True) > 0).float())


def predictor() -> Predictor:
    card = ModelCard(
        config=TrainConfig(side_px=64),
        classes=NAMES,
        multi_label=False,
        threshold=0.5,
        threshold_rule="given",
        refine_edges=False,
    )
    return Predictor(BrightIsObject(2, False), card, device="cpu", precision="float32", workers=1)


def white_square(folder: Path, name: str, label: str, truth_box: tuple[int, int, int, int] = BOX) -> Sample:
    image = np.zeros((64, 64, 3), np.uint8)
    x0, y0, x1, y1 = BOX
    image[y0:y1, x0:x1] = 255
    mask = np.zeros((64, 64), np.uint8)
    mask[truth_box[1] : truth_box[3], truth_box[0] : truth_box[2]] = 255
    assert cv2.imwrite(str(folder / f"{name}.png"), image)
    assert cv2.imwrite(str(folder / f"{name}-mask.png"), mask)
    region = CorrectedRegion(label, truth_box, folder / f"{name}-mask.png")
    return Sample(f"{name}.png", folder / f"{name}.png", (label,), truth=(region,))


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


def test_the_page_shows_the_images_and_escapes_names(tmp_path: Path) -> None:
    samples = [white_square(tmp_path, "a", NAMES[0])]
    history = [{"stage": "classify", "epoch": 1, "step": step, "losses": {"<b>": 1 / step}} for step in (1, 2, 3)]
    page = write_report(evaluate(predictor(), samples), predictor(), samples, tmp_path / "report", history).read_text()
    assert "<i>crab</i>" not in page
    assert "&lt;i&gt;crab&lt;/i&gt;" in page
    assert "&lt;b&gt;" in page
    assert page.count("<figure") == 1
    assert cv2.imread(str(tmp_path / "report" / "pictures" / "000-overlay.jpg")) is not None


def test_every_image_that_the_page_names_is_there(tmp_path: Path) -> None:
    samples = [white_square(tmp_path, name, NAMES[0]) for name in "ab"]
    page = write_report(evaluate(predictor(), samples), predictor(), samples, tmp_path / "report").read_text()
    named = re.findall(r'src="([^"]*)"', page)
    assert len(named) == 4
    assert [name for name in named if not (tmp_path / "report" / name).is_file()] == []


def test_long_lists_show_the_worst_and_a_few_of_the_best(tmp_path: Path) -> None:
    results = list(range(200))
    chosen = shown(results)  # type: ignore[arg-type]
    assert chosen[:WORST] == results[:WORST]
    assert chosen[-1] == results[-1]
    assert len(chosen) == 60
