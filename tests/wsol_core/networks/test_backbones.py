"""Backbones: strides and channels of all stages, and strict weights."""

from __future__ import annotations

import pytest
import torch
import torchvision

from wsol_core.errors import ConfigError, WeightsError
from wsol_core.networks.backbones import _BUILDERS, OddPixels, build_backbone
from wsol_core.registry import BACKBONES

SIDE = 64


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("strides", [(4, 8, 16, 32), (4, 8, 16, 16), (4, 8, 8, 16)])
@pytest.mark.parametrize("centred", [False, True])
def test_stages_have_the_strides_and_channels_they_promise(name: str, strides: tuple[int, ...], centred: bool) -> None:
    with torch.device("meta"):  # shapes without numbers
        backbone = build_backbone(name, strides, centred=centred)
        features = backbone(torch.zeros(1, 3, SIDE, SIDE))
    assert [tuple(f.shape[1:]) for f in features] == [
        (count, SIDE // stride, SIDE // stride) for count, stride in zip(backbone.channels, strides, strict=True)
    ]


def test_a_halving_after_odd_pixels_keeps_the_odd_ones() -> None:
    maps = torch.randn(2, 3, 8, 6)
    assert torch.equal(OddPixels()(maps)[:, :, ::2, ::2], maps[:, :, 1::2, 1::2])


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "resnet18", "resnet50", pytest.param("vgg16", marks=pytest.mark.slow)]
)
def test_cells_of_a_centred_backbone_lie_where_they_are_drawn(name: str) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(name, (4, 8, 16, 16), centred=True).eval()
    images = torch.randn(2, 3, 224, 224, requires_grad=True)
    for feature, stride in zip(backbone(images)[:3], (4, 8, 16), strict=True):
        cell = 112 // stride
        feature[:, :, cell, cell].square().sum().backward(retain_graph=True)
        assert images.grad is not None
        seen = images.grad.abs().sum((0, 1))
        images.grad = None
        places = torch.arange(224.0)
        centre = [float((seen.sum(axis) * places).sum() / seen.sum()) for axis in (0, 1)]
        assert centre == pytest.approx([cell * stride + (stride - 1) / 2] * 2, abs=3.2)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_the_stages_together_are_torchvisions_network(name: str) -> None:
    torch.manual_seed(0)
    stock = getattr(torchvision.models, name)(weights=None).eval()
    images = torch.randn(1, 3, SIDE, SIDE)
    if name == "mobilenet_v2":
        expected = stock.features(images)
    else:
        expected = torch.nn.Sequential(*list(stock.children())[:-2])(images)
    assert torch.allclose(build_backbone(name, state=stock.state_dict()).eval()(images)[3], expected)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match="mobilenet_v2"):
        build_backbone("mobilenet_v2", state=torchvision.models.resnet18(weights=None).state_dict())


def test_the_tiny_backbone_is_tiny() -> None:
    assert sum(p.numel() for p in build_backbone("tiny").parameters()) < 500_000


@pytest.mark.parametrize("strides", [(2, 4, 8, 16), (4, 16, 16, 32), (4, 8, 4, 8)])
def test_impossible_strides_are_refused(strides: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="strides"):
        build_backbone("tiny", strides)


def test_every_registered_backbone_can_be_built_and_no_other() -> None:
    assert sorted(BACKBONES) == sorted(_BUILDERS)


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(ConfigError, match="'resnet19'"):
        build_backbone("resnet19")
