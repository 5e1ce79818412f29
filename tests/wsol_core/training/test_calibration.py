"""What scores are calibrated on, with a method whose maps, and whose mistakes, are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.wsol_core.fake_method import FakeMethod
from wsol_core.config import TrainConfig
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import Predictor
from wsol_core.localization.thresholds import RULE_WITH_BOXES, RULE_WITHOUT_BOXES, best_threshold, box_ious
from wsol_core.methods.base import Prediction, WsolMethod
from wsol_core.records import CorrectedRegion, Localization, Sample
from wsol_core.training import calibration
from wsol_core.training.calibration import EXPECTED_OF_PARTS, FEWEST_CORRECTED, choose_thresholds, pick

SIDE = 64
CLASSES = ("blue", "red")
EVIDENCE = 0.92  # of Bright's squares: maps differ by 0.75 once they are enlarged, and outlines stand out by 2.3


class Bright(FakeMethod):
    """Sees the object wherever an image is bright, and its class with the certainty that it is told."""

    def __init__(self, logits: tuple[float, float] = (9.0, 0.0)) -> None:
        super().__init__(2, multi_label=False)
        self.known = torch.tensor(logits)

    def forward(self, images: Tensor) -> Prediction:
        return Prediction(self.known.expand(len(images), 2), (images.mean(1, keepdim=True) > 0).float())


def a_predictor(method: WsolMethod, side_px: int = SIDE) -> Predictor:
    card = ModelCard(TrainConfig(side_px=side_px), CLASSES, False, 0.5, "not chosen", refine_edges=method.refine_edges)
    return Predictor(method, card, "cpu", "float32")


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


class Grey(Bright):
    """Its map is the image's brightness, so that every input side and every way of decoding makes another map."""

    refine_edges = True

    def forward(self, images: Tensor) -> Prediction:
        return Prediction(self.known.expand(len(images), 2), images.mean(1, keepdim=True).sigmoid())


def photographs(folder: Path, count: int) -> list[Sample]:
    """Large JPEGs of a soft spot, with a corrected box; decoders shrink them by how large a side is needed."""
    x = np.hypot(*np.meshgrid(np.arange(-300, 300), np.arange(-300, 300)))
    samples = []
    for index in range(count):
        path = folder / f"photograph{index}.jpg"
        Image.fromarray((255 * np.exp(-((x / (100 + 20 * index)) ** 2))).astype(np.uint8)).save(path)
        samples.append(Sample(path.name, path, ("blue",), (CorrectedRegion("blue", (200.0, 200.0, 400.0, 400.0)),)))
    return samples


def without_regions(samples: Sequence[Sample]) -> list[Sample]:
    return [replace(sample, regions=()) for sample in samples]


def score_of(card: ModelCard) -> float:
    """The score of a bright square as the method finds it."""
    return card.accept.of(EVIDENCE)


def test_scores_tell_how_often_unseen_images_are_right_whatever_the_trained_ones_say(tmp_path: Path) -> None:
    trained = images(tmp_path, 10, right=True)
    unseen = [*images(tmp_path, 30, right=True, name="good"), *images(tmp_path, 30, right=False, name="bad")]
    overconfident = choose_thresholds(a_predictor(Bright()), trained)
    honest = choose_thresholds(a_predictor(Bright()), trained, unseen=unseen)
    assert score_of(overconfident) > 0.7
    assert score_of(honest) == pytest.approx(0.5, abs=0.05)
    assert (honest.threshold, honest.threshold_rule) == (overconfident.threshold, RULE_WITH_BOXES)


@pytest.mark.parametrize("side_px", [96, 224, 320])
def test_thresholds_are_best_on_the_maps_that_prediction_makes(tmp_path: Path, side_px: int) -> None:
    samples = photographs(tmp_path, 6)
    predictor = a_predictor(Grey(), side_px)
    box = [(200 / 600 * 224, 200 / 600 * 224, 400 / 600 * 224, 400 / 600 * 224)]
    found = [found for found in predictor.localize(pick(samples, 6), with_maps=True) if isinstance(found, Localization)]
    curves = [box_ious(image.maps["blue"], box) for image in found]
    assert choose_thresholds(predictor, samples).threshold == best_threshold(curves)


def test_a_method_in_training_goes_on_in_training(tmp_path: Path) -> None:
    predictor = a_predictor(Bright())
    predictor.method.train()
    choose_thresholds(predictor, images(tmp_path, 1, right=True))
    assert predictor.method.training


def test_a_method_that_knows_no_objects_yet_is_not_examined_from_closer_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "closer_is_clearer", lambda *_: True)
    trained = images(tmp_path, 5, right=True)
    assert choose_thresholds(a_predictor(Bright()), trained).looks_closer
    assert not choose_thresholds(a_predictor(Bright()), trained, with_objects=False).looks_closer


@pytest.mark.parametrize("looks_closer", [False, True])
def test_scores_tell_how_often_regions_are_right_as_they_are_shown_also_from_closer_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks_closer: bool
) -> None:
    def moved(predictor: Predictor, sample: Sample, found: Localization) -> Localization:
        elsewhere = (40.0, 40.0, 60.0, 60.0)
        return replace(found, regions=tuple(replace(region, box_xyxy=elsewhere) for region in found.regions))

    monkeypatch.setattr(calibration, "closer_is_clearer", lambda *_: looks_closer)
    monkeypatch.setattr(calibration, "from_closer_up", moved)
    accepted = score_of(choose_thresholds(a_predictor(Bright()), images(tmp_path, 30, right=not looks_closer)))
    assert accepted > 0.7


def test_boxes_are_as_loose_as_people_draw_them(tmp_path: Path) -> None:
    loose = (CorrectedRegion("blue", (4.0, 4.0, 28.0, 28.0)),)  # a fifth more at each side than what is found
    trained = [replace(sample, regions=loose) for sample in images(tmp_path, 30, right=True)]
    predictor = a_predictor(Bright())
    predictor.card = choose_thresholds(predictor, trained)
    assert predictor.card.box_margin == pytest.approx(0.2 * 30 / 35, abs=0.02)
    (found,) = (each for each in predictor.localize(trained[:1]) if isinstance(each, Localization))
    (region,) = found.regions
    assert region.box_xyxy == pytest.approx((5.26, 5.26, 26.74, 26.74), abs=0.4)
    assert region.mask.sum() == pytest.approx(16 * 16, rel=0.15)
    assert choose_thresholds(predictor, without_regions(trained)).box_margin == 0


def test_fewer_than_five_unseen_images_decide_nothing(tmp_path: Path) -> None:
    trained = images(tmp_path, 10, right=True)
    few = images(tmp_path, FEWEST_CORRECTED - 1, right=False, name="bad")
    weak = without_regions(images(tmp_path, 5, right=False, name="weak"))
    before = choose_thresholds(a_predictor(Bright()), trained)
    assert choose_thresholds(a_predictor(Bright()), trained, unseen=[*few, *weak]) == before


def test_unseen_images_calibrate_where_the_trained_ones_have_labels_only(tmp_path: Path) -> None:
    trained = without_regions(images(tmp_path, 10, right=True))
    unseen = images(tmp_path, 20, right=False, name="bad")
    choice = choose_thresholds(a_predictor(Bright()), trained, unseen=unseen)
    assert choice.threshold_rule == RULE_WITHOUT_BOXES
    assert score_of(choice) < 0.2
    plain = choose_thresholds(a_predictor(Bright()), trained)
    assert (plain.accept, plain.keep) == (EXPECTED_OF_PARTS.accept, EXPECTED_OF_PARTS.keep)


@pytest.mark.slow
def test_scores_of_corrected_images_tell_of_the_box_alone_since_a_person_gave_the_class(tmp_path: Path) -> None:
    trained = images(tmp_path, 60, right=True)
    doubtful = choose_thresholds(a_predictor(Bright((0.0, 0.0))), trained)
    assert doubtful == choose_thresholds(a_predictor(Bright()), trained)


def test_classes_that_the_method_has_not_learned_are_left_out(tmp_path: Path) -> None:
    trained = images(tmp_path, 10, right=True)
    green = [
        replace(sample, labels=("green",), regions=(CorrectedRegion("green", (0, 0, 9, 9)),))
        for sample in images(tmp_path, 8, right=True, name="green")
    ]
    before = choose_thresholds(a_predictor(Bright()), trained)
    assert choose_thresholds(a_predictor(Bright()), trained, unseen=green) == before


def test_the_images_for_the_threshold_are_the_same_in_any_order(samples: list[Sample]) -> None:
    assert pick(samples, 5) == pick(samples[::-1], 5)
    assert len(pick(samples, 5)) == 5
