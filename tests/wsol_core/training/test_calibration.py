"""What scores are calibrated on, with a method whose maps, and whose mistakes, are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from wsol_core.data.batch import Batch
from wsol_core.localization.regions import Calibration, raw_score
from wsol_core.localization.thresholds import RULE_WITH_BOXES, RULE_WITHOUT_BOXES
from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
from wsol_core.records import CorrectedRegion, Sample
from wsol_core.training.calibration import FEWEST_CORRECTED, Localizer, ThresholdChoice, choose_thresholds

SIDE = 64
CLASSES = ("blue", "red")
CONTRAST = 0.75  # of FakeMethod's maps once they are enlarged


class FakeMethod(WsolMethod):
    """Sees the object wherever an image is bright, and its class with the certainty that it is told."""

    stages = ("localize",)

    def __init__(self, logits: tuple[float, float] = (9.0, 0.0)) -> None:
        super().__init__(2, multi_label=False)
        self.known = torch.tensor(logits)

    def begin_stage(self, stage: str) -> None:
        """Nothing to prepare."""

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        return []

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        return {}

    def forward(self, images: Tensor) -> Prediction:
        return Prediction(self.known.expand(len(images), 2), (images.mean(1, keepdim=True) > 0).float())


def localizer(method: WsolMethod) -> Localizer:
    return Localizer(method, CLASSES, SIDE, False, torch.device("cpu"), torch.float32)


def images(folder: Path, count: int, right: bool, name: str = "image") -> list[Sample]:
    """A bright square each; the corrected box is around it where the method is to be `right`, else elsewhere."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[8:24, 8:24] = 255
    box = (8.0, 8.0, 24.0, 24.0) if right else (40.0, 40.0, 60.0, 60.0)
    samples = []
    for index in range(count):
        path = folder / f"{name}{index}.png"
        Image.fromarray(pixels).save(path)
        samples.append(Sample(path.name, path, ("blue",), (CorrectedRegion("blue", box),)))
    return samples


def without_regions(samples: Sequence[Sample]) -> list[Sample]:
    return [replace(sample, regions=()) for sample in samples]


def score_of(choice: ThresholdChoice, presence: float = 1.0) -> float:
    """The score of a region as the method finds them."""
    return Calibration(choice.score_scale, choice.score_shift).score(raw_score(CONTRAST, presence))


def test_scores_tell_how_often_unseen_images_are_right_whatever_the_trained_ones_say(tmp_path: Path) -> None:
    trained = images(tmp_path, 10, right=True)
    unseen = [*images(tmp_path, 30, right=True, name="good"), *images(tmp_path, 30, right=False, name="bad")]
    overconfident = choose_thresholds(localizer(FakeMethod()), trained)
    honest = choose_thresholds(localizer(FakeMethod()), trained, unseen=unseen)
    assert score_of(overconfident) > 0.85
    assert score_of(honest) == pytest.approx(0.5, abs=0.05)
    assert (honest.threshold, honest.rule) == (overconfident.threshold, RULE_WITH_BOXES)


def test_fewer_than_five_unseen_images_decide_nothing(tmp_path: Path) -> None:
    trained = images(tmp_path, 10, right=True)
    few = images(tmp_path, FEWEST_CORRECTED - 1, right=False, name="bad")
    weak = without_regions(images(tmp_path, 5, right=False, name="weak"))
    before = choose_thresholds(localizer(FakeMethod()), trained)
    assert choose_thresholds(localizer(FakeMethod()), trained, unseen=[*few, *weak]) == before


def test_unseen_images_calibrate_where_the_trained_ones_have_labels_only(tmp_path: Path) -> None:
    trained = without_regions(images(tmp_path, 10, right=True))
    unseen = images(tmp_path, 20, right=False, name="bad")
    choice = choose_thresholds(localizer(FakeMethod()), trained, unseen=unseen)
    assert choice.rule == RULE_WITHOUT_BOXES
    assert score_of(choice) < 0.2
    plain = choose_thresholds(localizer(FakeMethod()), trained)
    assert (plain.score_scale, plain.score_shift) == (1.0, 0.0)


def test_a_doubtful_class_is_part_of_what_is_calibrated(tmp_path: Path) -> None:
    trained = images(tmp_path, 60, right=True)
    doubtful = choose_thresholds(localizer(FakeMethod((0.0, 0.0))), trained)
    assert score_of(doubtful, presence=0.5) > 0.85


def test_classes_that_the_method_has_not_learned_are_left_out(tmp_path: Path) -> None:
    trained = images(tmp_path, 10, right=True)
    green = [
        replace(sample, labels=("green",), regions=(CorrectedRegion("green", (0, 0, 9, 9)),))
        for sample in images(tmp_path, 8, right=True, name="green")
    ]
    before = choose_thresholds(localizer(FakeMethod()), trained)
    assert choose_thresholds(localizer(FakeMethod()), trained, unseen=green) == before
