"""ORNet's generator: the shapes of its maps."""

from __future__ import annotations

import pytest
import torch

from wsol_core.networks.unet import UNetGenerator


def test_the_u_net_keeps_the_size_of_its_features() -> None:
    map_logits, class_maps, activated = UNetGenerator(24, 3, base=8)(torch.randn(2, 24, 56, 56))
    assert map_logits.shape == (2, 1, 56, 56)
    assert class_maps.shape == activated.shape == (2, 3, 56, 56)


@pytest.mark.parametrize("classes", [3, 20])
def test_activated_class_maps_are_the_features_or_else_leaky_linear_maps(classes: int) -> None:
    generator = UNetGenerator(24, classes, base=8)
    features = []
    generator.u3.register_forward_hook(lambda module, args, output: features.append(output))
    _, linear, activated = generator(torch.randn(2, 24, 8, 8))
    expected = features[0] if classes == 20 else torch.where(linear > 0, linear, 0.01 * linear)
    assert torch.equal(activated, expected)


def test_the_u_net_takes_sides_that_do_not_halve_evenly() -> None:
    map_logits, *_ = UNetGenerator(24, 3, base=8)(torch.randn(1, 24, 28, 28))
    assert map_logits.shape == (1, 1, 28, 28)
