"""Drawn images of one bright square, and a predictor that finds it: evaluation with known results."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from tests.wsol_core.fake_method import FakeMethod
from wsol_core.config import TrainConfig
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import Predictor
from wsol_core.methods.base import Prediction
from wsol_core.records import CorrectedRegion, Sample

BOX = (16, 24, 48, 56)
NAMES = ("<i>crab</i>", "fish")


class BrightIsObject(FakeMethod):
    """The map is the image's brightness, and everything is the first class: a method with known results."""

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
