"""Where features lie: offsets of networks that are known, and of real ones before and after they are moved."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wsol_core.networks.alignment import OddPixels, moved, offsets
from wsol_core.networks.backbones import build_backbone


@pytest.fixture
def images() -> Tensor:
    """Smooth noise."""
    noise = torch.randn(8, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noise, size=(128, 128), mode="bicubic")


def shifted_pool(images: Tensor, pixels: int, stride: int) -> Tensor:
    return F.avg_pool2d(torch.roll(images, (pixels, pixels), (2, 3)), stride)


def test_offsets_of_moved_means_are_found(images: Tensor) -> None:
    cases = ((3, 8), (0, 8), (-5, 16), (12, 16))
    found = offsets(lambda each: [shifted_pool(each, *case) for case in cases], images)
    assert found == pytest.approx([pixels / stride for pixels, stride in cases], abs=1 / 16)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_features_moved_by_their_offsets_lie_where_they_are_drawn(name: str, images: Tensor) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(name, (4, 8, 16, 16)).eval()
    before = offsets(backbone, images)
    assert min(before) > 0.1  # fresh filters see the even pixels
    backbone.align([-cells for cells in before])
    assert offsets(backbone, images)[:3] == pytest.approx([0.0] * 3, abs=0.1)


def test_a_quarter_of_a_cell_is_a_mean_of_neighbours() -> None:
    row = torch.tensor([[[[4.0, 0.0, 8.0]]]])
    assert moved(row, 0.25).flatten().tolist() == [4.0, 1.0, 6.0]
    assert moved(row, -0.25).flatten().tolist() == [3.0, 2.0, 8.0]
    column = row.transpose(2, 3)
    assert torch.equal(moved(column, 0.25), moved(row, 0.25).transpose(2, 3))


def test_a_halving_after_odd_pixels_keeps_the_odd_ones() -> None:
    maps, odd = torch.randn(2, 3, 8, 6), OddPixels()
    assert torch.equal(odd(maps), maps)
    odd.active = True
    assert torch.equal(odd(maps)[:, :, ::2, ::2], maps[:, :, 1::2, 1::2])
