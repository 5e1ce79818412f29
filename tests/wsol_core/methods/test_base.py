"""What every method inherits: a class's maps out of a prediction, and probabilities of logits."""

from __future__ import annotations

import pytest
import torch

from tests.wsol_core.methods.method_batches import tiny_method
from wsol_core.methods.base import Prediction, WsolMethod


def test_maps_of_takes_each_images_own_class() -> None:
    maps = torch.arange(2 * 3 * 4.0).view(2, 3, 2, 2)
    found = Prediction(torch.zeros(2, 3), maps).maps_of(torch.tensor([2, 0]))
    assert torch.equal(found, torch.stack([maps[0, 2], maps[1, 0]]))


def test_maps_of_takes_the_one_map_that_serves_every_class() -> None:
    maps = torch.rand(2, 1, 2, 2)
    assert torch.equal(Prediction(torch.zeros(2, 3), maps).maps_of(torch.tensor([2, 0])), maps[:, 0])


@pytest.mark.parametrize(
    ("classes", "multi_label", "expected"),
    [(2, False, [0.75, 0.25]), (2, True, [0.75, 0.5]), (1, False, [0.75]), (1, True, [0.75])],
)
def test_classes_compete_unless_an_image_may_have_several_or_there_is_one_alone(
    classes: int, multi_label: bool, expected: list[float]
) -> None:
    method = tiny_method("cam", classes, multi_label)
    logits = torch.tensor([[3.0, 1.0][:classes]]).log()
    assert method.probabilities(logits)[0].tolist() == pytest.approx(expected)


def test_a_step_and_a_prediction_are_what_a_method_has_to_bring() -> None:
    assert WsolMethod.__abstractmethods__ == {"begin_stage", "parameter_groups", "training_step", "forward"}
