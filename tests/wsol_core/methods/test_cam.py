"""CAM: its maps and scores, computed once more from the weights of its head."""

from __future__ import annotations

import torch

from tests.wsol_core.methods.method_batches import moved_parameters, noise_batch, tiny_method
from wsol_core.methods.cam import Cam


def class_maps(method: Cam, images: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w): the class's weights applied to every place of the last features."""
    features = method.backbone(images)[3]
    weights = method.head.weight[:, :, 0, 0]
    return torch.einsum("cf,bfhw->bchw", weights, features) + method.head.bias[:, None, None]


@torch.no_grad()
def test_scores_are_the_mean_and_maps_the_positive_part_over_its_maximum() -> None:
    method, images = tiny_method("cam").eval(), noise_batch().images
    assert isinstance(method, Cam)
    expected, found = class_maps(method, images), method(images)
    assert torch.allclose(found.logits, expected.mean((2, 3)), atol=1e-5)
    positive = expected.relu()
    peaks = positive.flatten(2).max(2).values[:, :, None, None].clamp(min=1e-6)
    assert torch.allclose(found.maps, positive / peaks, atol=1e-5)


@torch.no_grad()
def test_a_class_that_no_place_speaks_for_has_an_empty_map() -> None:
    method = tiny_method("cam").eval()
    method.head.weight.zero_()
    method.head.bias.fill_(-1)
    assert method(noise_batch().images).maps.sum() == 0


def test_its_only_loss_moves_features_and_head() -> None:
    method = tiny_method("cam")
    terms = method.training_step(noise_batch(), "classify", 0.0)
    moved = moved_parameters(method, terms, *terms)
    assert list(terms) == ["classification"]
    assert {"head.weight", "head.bias"} < moved
    assert any(name.startswith("backbone.stages.0") for name in moved)
