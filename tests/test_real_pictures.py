"""The whole way on real pictures: ImageNet weights, training on class labels, evaluation of the training pictures.

Needs the development data, which is not part of the project: `BOXSTRAP_SHARED`, or `../shared` beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsol_core.config import TrainConfig
from wsol_core.data.folder import read_folder
from wsol_core.evaluation.evaluate import evaluate
from wsol_core.localization.predictor import Predictor
from wsol_core.training.fit import fit

SHARED = Path(os.environ.get("BOXSTRAP_SHARED", Path(__file__).resolve().parents[2] / "shared"))
PER_CLASS = 16


@pytest.mark.slow
@pytest.mark.skipif(
    not (SHARED / "data" / "sysu5").is_dir(),
    reason="NO REAL PICTURES WERE TESTED: name the folder with data/sysu5 in BOXSTRAP_SHARED",
)
def test_a_short_training_on_real_pictures_already_finds_objects(tmp_path: Path) -> None:
    data = read_folder(SHARED / "data" / "sysu5", "train")
    samples = [s for name in data.classes for s in [s for s in data.samples if s.labels == (name,)][:PER_CLASS]]
    config = TrainConfig(method="cam", epochs=8, batch_size=16, side_px=160, seed=1)
    fit(config, samples, data.classes, tmp_path / "model", weights_dir=SHARED / "data" / "weights")
    report = evaluate(Predictor.open(tmp_path / "model"), samples)
    # Not a measurement: training pictures, few steps. On the test split a whole picture as the box reaches .41.
    assert report.metrics["top1_accuracy"] > 0.6
    assert report.metrics["max_box_acc"] > 0.43
    assert all(row["mask_iou"] > 0.05 for row in report.per_class.values())
