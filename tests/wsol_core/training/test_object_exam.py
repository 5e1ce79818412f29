"""The exam on a project's own images, with fake methods whose objects, and whose mistakes, are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.wsol_core.fake_method import FakeMethod
from wsol_core.config import TrainConfig
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import Predictor
from wsol_core.methods.base import ObjectMaps, Prediction, WsolMethod
from wsol_core.records import CorrectedRegion, Sample
from wsol_core.training import object_exam
from wsol_core.training.calibration import choose_thresholds
from wsol_core.training.object_exam import FEWEST_OBJECTS, HANDICAP, ExamResult, best_share, examine

SIDE, CELLS = 64, 8
EVIDENCE = 0.768  # of a square with probability 0.9; white beside white, its outline does not stand out


class FakeFinder(FakeMethod):
    """Sees every bright square, two side by side too. `shift` moves boxes, `false` is how sure it is of nothing."""

    finds_objects = True

    def __init__(self, shift: float = 0.0, false: float = 0.0, probability: float = 0.9) -> None:
        super().__init__(1, multi_label=False)
        self.shift, self.false, self.probability = shift, false, probability
        self.chosen: list[float | None] = []

    def choose_objects(self, least_centre: float | None) -> None:
        self.chosen.append(least_centre)

    def forward(self, images: Tensor) -> Prediction:
        bright = (images.mean(1, keepdim=True) > 0).float()
        found = [self._objects(np.asarray(each[0].numpy(), np.uint8)) for each in bright]
        objects = ObjectMaps(*(torch.stack(parts) for parts in zip(*found, strict=True)))
        return Prediction(torch.zeros(len(images), 1), 0.95 * bright + 0.01, objects)

    def _squares(self, x: int, y: int, w: int, h: int) -> list[tuple[int, int, int, int]]:
        return [(x, y, w // 2, h), (x + w // 2, y, w // 2, h)] if w > 1.5 * h else [(x, y, w, h)]

    def _objects(self, bright: np.ndarray) -> tuple[Tensor, Tensor]:
        centres, boxes = torch.zeros(1, CELLS, CELLS), torch.zeros(4, CELLS, CELLS)
        centres[0, 0, 0] = self.false
        boxes[:, 0, 0] = torch.tensor([0.0, 0.0, 0.15, 0.15])
        count, _, stats, _ = cv2.connectedComponentsWithStats(bright)
        for x, y, w, h in (square for blob in stats[1:count, :4].tolist() for square in self._squares(*blob)):
            box = np.array([x, y, x + w, y + h]) / SIDE + self.shift
            rows, columns = slice(y // CELLS, -(-(y + h) // CELLS)), slice(x // CELLS, -(-(x + w) // CELLS))
            boxes[:, rows, columns] = torch.tensor(box, dtype=torch.float32)[:, None, None]
            centres[0, (y + h // 2) // CELLS, (x + w // 2) // CELLS] = self.probability
        return centres, boxes


def a_predictor(method: WsolMethod) -> Predictor:
    card = ModelCard(TrainConfig(side_px=SIDE), ("square",), False, 0.5, "fixed", refine_edges=False)
    return Predictor(method, card, "cpu", "float32")


@pytest.fixture
def squares(tmp_path: Path) -> list[Sample]:
    """Two bright squares side by side each, in which a person drew both."""
    samples = []
    for index in range(24):
        pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
        y = 8 * (1 + index % 5)
        pixels[y : y + 16, 16:48] = 255
        path = tmp_path / f"{index}.png"
        Image.fromarray(pixels).save(path)
        drawn = tuple(CorrectedRegion("square", (x, y, x + 16, y + 16)) for x in (16, 32))
        samples.append(Sample(path.name, path, ("square",), drawn))
    return samples


def single(sample: Sample) -> Sample:
    """The same image, of which nobody has said anything but its class."""
    return replace(sample, regions=())


def test_right_centres_are_chosen(squares: list[Sample]) -> None:
    method = FakeFinder()
    result = examine(a_predictor(method), squares)
    assert result is not None and result.objects >= FEWEST_OBJECTS
    assert result.by_centres > result.by_parts and result.chosen == result.floor
    assert method.chosen == [0.0], "the exam sees all centres"


def test_where_centres_are_wrong_the_parts_of_maps_stay(squares: list[Sample]) -> None:
    weak = [single(sample) for sample in squares]
    result = examine(a_predictor(FakeFinder(shift=0.5)), weak)
    assert result is not None and HANDICAP * result.by_parts > result.by_centres
    assert result.chosen is None


def test_false_centres_raise_the_least_probability(squares: list[Sample]) -> None:
    clean, noisy = (examine(a_predictor(FakeFinder(false=false)), squares) for false in (0.0, 0.3))
    assert clean is not None and noisy is not None
    assert clean.floor <= 0.1 < 0.3 < noisy.floor <= 0.9


def test_boxes_inside_others_go_where_they_are_mistakes(squares: list[Sample]) -> None:
    class FakeSplitter(FakeFinder):
        def _objects(self, bright: np.ndarray) -> tuple[Tensor, Tensor]:
            centres, boxes = super()._objects(bright)
            row, column = centres[0].eq(self.probability).nonzero()[0].tolist()
            x0, y0, x1, y1 = boxes[:, row, column]
            boxes[:, 0, 0] = torch.stack([x0, y0, (x0 + x1) / 2, (y0 + y1) / 2])
            return centres, boxes

    plain, split = (examine(a_predictor(each), squares) for each in (FakeFinder(), FakeSplitter(false=0.8)))
    assert plain is not None and split is not None
    assert plain.most_inside == 1 > split.most_inside
    assert split.by_centres == plain.by_centres
    card = choose_thresholds(a_predictor(FakeSplitter(false=0.8)), squares)
    assert card.most_inside == split.most_inside


@pytest.mark.parametrize(
    ("f1", "found", "few", "best"),
    [
        ((0.5, 0.6, 0.7), (80, 80, 79), 1, 0.5),  # parts of objects go
        ((0.5, 0.6, 0.7), (80, 80, 70), 1, 0.7),  # neighbours would go with them
        ((0.5, 0.6, 0.7), (80, 80, 76), 5, 0.5),
        ((0.5, 0.6, 0.7), (80, 70, 70), 1, 1.0),
        ((0.5, 0.51, 0.51), (80, 80, 80), 1, 1.0),  # hardly better
    ],
)
def test_boxes_inside_others_stay_where_objects_would_go_with_them(
    f1: tuple[float, ...], found: tuple[int, ...], few: float, best: float
) -> None:
    shares = (1.0, 0.7, 0.5)
    assert best_share(dict(zip(shares, f1, strict=True)), dict(zip(shares, found, strict=True)), few) == best


@pytest.mark.parametrize("melt", [True, False])
def test_pasted_objects_tell_of_boxes_inside_others_only_where_neighbours_melt(
    squares: list[Sample], monkeypatch: pytest.MonkeyPatch, melt: bool
) -> None:
    most: list[int] = []
    monkeypatch.setattr(FakeFinder, "neighbours_melt", melt)
    monkeypatch.setattr(object_exam, "best_share", lambda f1, found, few: most.append(found[1.0]) or 1.0)
    result = examine(a_predictor(FakeFinder()), squares)
    assert result is not None
    assert (most[0] > len(squares) * object_exam.ROUNDS) is melt


def test_few_known_objects_do_not_tell() -> None:
    assert ExamResult(FEWEST_OBJECTS - 1, 0.2, 1.0, 0.0).chosen is None
    assert ExamResult(FEWEST_OBJECTS, 0.2, 0.4, 0.8).chosen == 0.2
    assert ExamResult(FEWEST_OBJECTS, 0.2, 0.3, 0.8).chosen is None


def test_a_method_that_finds_no_single_objects_is_not_examined(squares: list[Sample]) -> None:
    class FakeMaps(FakeFinder):
        finds_objects = False

    assert examine(a_predictor(FakeMaps()), squares) is None


def test_the_same_images_make_the_same_exam(squares: list[Sample]) -> None:
    first, second = (examine(a_predictor(FakeFinder(false=0.2)), squares) for _ in range(2))
    assert first == second


def test_images_that_cannot_be_read_are_no_exam(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"torn")
    result = examine(a_predictor(FakeFinder()), [Sample("torn.png", tmp_path / "torn.png", ("square",))])
    assert result is not None and result.objects == 0 and result.chosen is None


def test_regions_are_worth_what_the_exam_says(squares: list[Sample]) -> None:
    right, off = (choose_thresholds(a_predictor(FakeFinder(shift=shift)), squares) for shift in (0.0, 0.05))
    assert right.keep is not None and off.keep is not None
    assert right.keep.of(EVIDENCE) > 0.6 > off.keep.of(EVIDENCE)


def test_a_method_that_has_not_learned_to_tell_objects_apart_shows_parts(squares: list[Sample]) -> None:
    method = FakeFinder()
    choose_thresholds(a_predictor(method), squares, with_objects=False)
    assert method.chosen == [None]
