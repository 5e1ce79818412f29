"""The generators' shapes and what their gradients reach."""

from __future__ import annotations

import torch

from wsol_core.networks.feature_pyramid import CoarseGenerator, FineGenerator
from wsol_core.networks.unet import UNetGenerator

CHANNELS = (8, 12, 16, 20)


def features(side: int = 64) -> list[torch.Tensor]:
    return [
        torch.randn(2, count, side // stride, side // stride, requires_grad=True)
        for count, stride in zip(CHANNELS, (4, 8, 16, 16), strict=True)
    ]


def test_coarse_maps_have_stride_8_and_leave_the_top_features_alone() -> None:
    inputs = features()
    logits = CoarseGenerator(CHANNELS)(inputs)
    logits.sum().backward()
    assert logits.shape == (2, 1, 8, 8)
    assert inputs[3].grad is None
    assert all(x.grad is not None for x in inputs[:3])


def test_fine_maps_have_stride_4_one_a_class() -> None:
    assert FineGenerator(CHANNELS, 7)(features()).shape == (2, 7, 16, 16)


def test_the_u_net_keeps_the_size_of_its_features() -> None:
    map_logits, class_maps = UNetGenerator(24, 3, base=8)(torch.randn(2, 24, 56, 56))
    assert map_logits.shape == (2, 1, 56, 56)
    assert class_maps.shape == (2, 3, 56, 56)


def test_the_u_net_takes_sides_that_do_not_halve_evenly() -> None:
    map_logits, _ = UNetGenerator(24, 3, base=8)(torch.randn(1, 24, 28, 28))
    assert map_logits.shape == (1, 1, 28, 28)
