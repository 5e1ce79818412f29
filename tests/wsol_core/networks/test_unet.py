"""ORNet's generator: the shapes of its maps."""

from __future__ import annotations

import torch

from wsol_core.networks.unet import UNetGenerator


def test_the_u_net_keeps_the_size_of_its_features() -> None:
    map_logits, class_maps = UNetGenerator(24, 3, base=8)(torch.randn(2, 24, 56, 56))
    assert map_logits.shape == (2, 1, 56, 56)
    assert class_maps.shape == (2, 3, 56, 56)


def test_the_u_net_takes_sides_that_do_not_halve_evenly() -> None:
    map_logits, _ = UNetGenerator(24, 3, base=8)(torch.randn(1, 24, 28, 28))
    assert map_logits.shape == (1, 1, 28, 28)
