"""The choice of the epoch without boxes, and the images that it looks at."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.wsol_core.fake_method import FakeMethod
from wsol_core.methods.base import Prediction
from wsol_core.records import CorrectedRegion, Sample
from wsol_core.training.model_selection import (
    EpochChoice,
    HeldOut,
    area_penalty,
    evaluating,
    is_worse,
    localization_scores,
    split_holdout,
)

CPU = torch.device("cpu")


class BrightSquare(FakeMethod):
    """Says class 0 as surely as the left half is bright; its map is what the test gives it."""

    def __init__(self, shown: Tensor, num_classes: int = 2) -> None:
        super().__init__(num_classes, False)
        self.shown = shown
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Prediction:
        bright = images[:, 0, :, :4].mean((1, 2))
        logits = torch.stack([20 * (bright - 0.5)] + [torch.zeros_like(bright)] * (self.num_classes - 1), 1)
        return Prediction(logits, self.shown.expand(len(images), 1, 8, 8))


LEFT = torch.zeros(8, 8)
LEFT[:, :4] = 1
IMAGES = HeldOut(LEFT.expand(3, 3, 8, 8).clone(), torch.zeros(3, dtype=torch.long))


def score_of(shown: Tensor, num_classes: int = 2) -> float:
    return float(localization_scores(BrightSquare(shown, num_classes), IMAGES, CPU, torch.float32, 2).mean())


def test_a_map_on_the_object_scores_one_and_its_opposite_zero() -> None:
    assert score_of(LEFT) == pytest.approx(1.0, abs=1e-3)
    assert score_of(1 - LEFT) == pytest.approx(0.0, abs=1e-3)


def test_a_part_of_the_object_scores_less_than_the_whole() -> None:
    part = LEFT.clone()
    part[4:] = 0
    assert score_of(part) < 0.5 * score_of(LEFT)


def test_a_full_and_an_empty_map_score_nothing_although_the_full_one_shows_all() -> None:
    nearly_full = torch.ones(8, 8)
    nearly_full[0, 7] = 0  # a constant map becomes an empty one
    assert score_of(nearly_full) < 0.1
    assert score_of(torch.full((8, 8), 0.7)) < 0


def test_a_single_class_is_judged_by_its_own_probability() -> None:
    assert score_of(LEFT, num_classes=1) > 0.99
    assert score_of(1 - LEFT, num_classes=1) < 0.01


def test_the_penalty_is_zero_between_its_areas_and_one_at_the_ends() -> None:
    areas = torch.tensor([0.0, 0.01, 0.02, 0.3, 0.6, 0.8, 1.0])
    torch.testing.assert_close(area_penalty(areas), torch.tensor([1.0, 0.5, 0.0, 0.0, 0.0, 0.5, 1.0]))


def test_judging_leaves_every_part_in_the_mode_that_it_had() -> None:
    method = BrightSquare(LEFT)
    method.train()
    method.norm.eval()
    with evaluating(method):
        assert not method.training
    assert (method.training, method.norm.training) == (True, False)


def choice_after(*epochs: list[float]) -> EpochChoice:
    choice = EpochChoice()
    for index, scores in enumerate(epochs):
        choice.update(index + 1, torch.tensor(scores), nn.Linear(1, 1))
    return choice


def test_a_clearly_better_earlier_epoch_is_chosen() -> None:
    choice = choice_after([0.2, 0.2, 0.3], [0.8, 0.9, 0.8], [-0.1, 0.0, 0.1])
    assert (choice.epoch, choice.score) == (2, pytest.approx(2.5 / 3))


def test_the_last_epoch_is_chosen_unless_it_lost_as_much_as_a_collapse() -> None:
    assert choice_after([0.9, 0.9], [0.2, 0.2]).epoch == 2
    assert choice_after([0.9, 0.9], [0.1, 0.1]).epoch == 1


def test_a_difference_that_the_images_do_not_agree_on_is_a_tie() -> None:
    assert not is_worse(torch.tensor([0.9, 0.1, 0.5]), torch.tensor([0.2, 0.9, 0.5]))
    assert choice_after([0.2, 0.9, 0.5], [0.9, 0.1, 0.5]).epoch == 2


def test_slow_decay_does_not_creep_past_the_best_epoch_by_ties() -> None:
    assert choice_after([0.9, 0.9], [0.3, 0.3], [0.1, 0.1]).epoch == 2


def test_a_choice_survives_a_checkpoint() -> None:
    choice = choice_after([0.2, 0.3], [0.8, 0.9])
    again = EpochChoice.from_dict(choice.to_dict())
    for either in (choice, again):
        either.update(3, torch.tensor([-0.2, 0.0]), nn.Linear(1, 1))
    assert (again.epoch, again.score, again.last_gain_epoch) == (2, choice.score, 2)


def make_samples(count: int, label: str, boxed: int = 0) -> list[Sample]:
    region = CorrectedRegion(label, (0, 0, 1, 1))
    files = [f"{label}/{index}.jpg" for index in range(count)]
    return [Sample(f, Path(f), (label,), (region,) * (i < boxed)) for i, f in enumerate(files)]


def test_a_share_of_each_class_of_five_or_more_images_is_held_out() -> None:
    samples = make_samples(50, "a") + make_samples(5, "b") + make_samples(4, "c")
    train, held = split_holdout(samples, 0.1)
    assert sorted(sample.labels[0] for sample in held) == ["a"] * 5 + ["b"]
    assert sorted(s.file for s in train + held) == sorted(s.file for s in samples)


def test_the_held_out_images_do_not_depend_on_their_order_and_survive_new_ones() -> None:
    few = {sample.file for sample in split_holdout(make_samples(40, "a"), 0.1)[1]}
    assert {sample.file for sample in split_holdout(make_samples(40, "a")[::-1], 0.1)[1]} == few
    more = {sample.file for sample in split_holdout(make_samples(44, "a"), 0.1)[1]}
    assert len(few & more) >= 2


def test_nothing_is_held_out_when_asked_for_nothing() -> None:
    assert split_holdout(make_samples(50, "a"), 0.0)[1] == []


def test_corrected_images_are_held_out_last_and_the_number_stays_small() -> None:
    held = split_holdout(make_samples(20, "a", boxed=15), 0.2)[1]
    assert [sample.regions for sample in held] == [()] * 4
    assert len(split_holdout(make_samples(5000, "a"), 0.1)[1]) == 64
