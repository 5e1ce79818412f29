"""Boxstrap's generators: the shapes of their maps, and what their gradients reach."""

from __future__ import annotations

import torch

from wsol_core.networks.feature_pyramid import CoarseGenerator, FineGenerator

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
