"""Backbones: strides and channels of all stages, and strict weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision

from wsol_core.errors import ConfigError, WeightsError
from wsol_core.networks.alignment import moved
from wsol_core.networks.backbones import _BUILDERS, build_backbone
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


def test_aligned_features_are_moved_and_stay_so_in_a_state() -> None:
    torch.manual_seed(0)
    backbone = build_backbone("tiny", (4, 8, 16, 16)).eval()
    images = torch.randn(1, 3, SIDE, SIDE)
    plain = backbone(images)
    backbone.align([0, 0.25, 0, -0.5])
    again = build_backbone("tiny", (4, 8, 16, 16)).eval()
    again.load_state_dict(backbone.state_dict())
    for before, after, cells in zip(plain, again(images), (0, 0.25, 0, -0.5), strict=True):
        assert torch.equal(after, moved(before, cells) if cells else before)


def test_a_state_from_before_alignment_keeps_odd_pixels() -> None:
    torch.manual_seed(0)
    backbone = build_backbone("mobilenet_v2", centred=True).eval()
    images = torch.randn(1, 3, SIDE, SIDE)
    aligned = backbone(images)
    state = {name: value for name, value in backbone.state_dict().items() if name != "moves"}
    backbone.load_state_dict(state)
    older = backbone(images)
    assert not torch.allclose(older[0], aligned[0])
    saved = build_backbone("mobilenet_v2", centred=True).eval()
    saved.load_state_dict(backbone.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(saved(images), older, strict=True))
    saved.align([0.0] * 4)
    assert all(torch.equal(a, b) for a, b in zip(saved(images), aligned, strict=True))


def stock(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    options = {"init_weights": False} if name == "inception_v3" else {}
    return getattr(torchvision.models, name)(weights=None, **options).eval()


def resnet_layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The ends of the four stages, by torchvision's own modules."""
    parts = list(model.children())[:-2]
    return [torch.nn.Sequential(*parts[:count]) for count in (5, 6, 7, 8)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("mobilenet_v2", (4, 7, 14, 19)),
        ("vgg16", (10, 17, 24, 31)),
        ("resnet18", None),
        ("resnet50", None),
    ],
)
@torch.no_grad()
def test_every_stage_is_torchvisions_network_up_to_there(name: str, ends: tuple[int, ...] | None) -> None:
    model = stock(name)
    images = torch.randn(1, 3, SIDE, SIDE)
    parts = resnet_layers(model) if ends is None else [model.features[:end] for end in ends]
    found = build_backbone(name, state=model.state_dict()).eval()(images)
    for feature, part in zip(found, parts, strict=True):
        assert torch.allclose(feature, part(images), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strides", "ends"), [((4, 8, 8, 16), (17, 23, 30)), ((4, 8, 16, 16), (17, 24, 30)), ((4, 4, 8, 16), (16, 23, 30))]
)
@torch.no_grad()
def test_where_vgg16_keeps_its_size_only_that_pool_goes(strides: tuple[int, ...], ends: tuple[int, ...]) -> None:
    model = stock("vgg16")
    images = torch.randn(1, 3, SIDE, SIDE)
    found = build_backbone("vgg16", strides, model.state_dict()).eval()(images)
    for feature, end in zip(found[1:], ends, strict=True):
        assert torch.equal(feature, model.features[:end](images))


@pytest.mark.slow
@torch.no_grad()
def test_inception_v3_is_torchvisions_with_padding_that_keeps_sides_even() -> None:
    model = stock("inception_v3")
    images = torch.randn(1, 3, SIDE, SIDE)
    found = build_backbone("inception_v3", (4, 8, 8, 16), model.state_dict()).eval()(images)
    model.Conv2d_1a_3x3.conv.padding = (1, 1)
    model.transform_input = True
    x = model.Conv2d_2b_3x3(model.Conv2d_2a_3x3(model.Conv2d_1a_3x3(model._transform_input(images))))
    x = F.max_pool2d(x, 3, 2, 1, ceil_mode=True)
    assert torch.allclose(found[0], x, atol=1e-5)
    x = F.max_pool2d(model.Conv2d_4a_3x3(model.Conv2d_3b_1x1(x)), 3, 2, 1, ceil_mode=True)
    x = model.Mixed_5d(model.Mixed_5c(model.Mixed_5b(x)))
    assert torch.allclose(found[1], x, atol=1e-5)
    b = model.Mixed_6a
    for convolution in (b.branch3x3.conv, b.branch3x3dbl_3.conv):
        convolution.stride, convolution.padding = (1, 1), (1, 1)
    deep = b.branch3x3dbl_3(b.branch3x3dbl_2(b.branch3x3dbl_1(x)))
    x = torch.cat([b.branch3x3(x), deep, F.max_pool2d(x, 3, 1, 1)], 1)
    x = model.Mixed_6e(model.Mixed_6d(model.Mixed_6c(model.Mixed_6b(x))))
    assert torch.allclose(found[2], x, atol=1e-5)


def test_mobilenet_v1_is_its_papers_and_takes_the_weights_of_bas() -> None:
    plain = build_backbone("mobilenet_v1")
    convolutions = [module for module in plain.modules() if isinstance(module, torch.nn.Conv2d)]
    assert sum(module.weight.numel() for module in convolutions) == 3_185_088  # 4.2 M with its classifier and BatchNorm
    assert [m.stride[0] for m in convolutions if m.stride != (1, 1)] == [2] * 5
    state = {}
    for number, layer in enumerate(layer for stage in plain.stages for layer in stage):
        state |= {
            f"module.model.{number}.{key}": torch.rand_like(value)
            for key, value in layer.state_dict().items()
            if not key.endswith("tracked")
        }
    state["module.fc.weight"] = torch.zeros(1000, 1024)
    loaded = build_backbone("mobilenet_v1", state=state)
    assert torch.equal(loaded.stages[1][0][0].weight, state["module.model.4.0.weight"])
    assert torch.equal(loaded.stages[3][1][4].running_var, state["module.model.13.4.running_var"])


@torch.no_grad()
def test_a_pool_before_the_last_stage_of_a_resnet_stands_for_its_stride() -> None:
    model = stock("resnet18")
    images = torch.randn(1, 3, SIDE, SIDE)
    found = build_backbone("resnet18", (4, 8, 16, 32), model.state_dict(), max_pool=True).eval()(images)
    for module in model.layer4.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.stride = (1, 1)
    pooled = F.max_pool2d(resnet_layers(model)[2](images), 2)
    assert torch.allclose(found[3], model.layer4(pooled), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "channels"), [("resnet50", 64), ("vgg16", 128), ("mobilenet_v2", 24), ("inception_v3", 64), ("tiny", 24)]
)
def test_the_stem_ends_at_stride_4_before_the_first_block(name: str, channels: int) -> None:
    with torch.device("meta"):
        backbone = build_backbone(name)
        stem, rest, width = backbone.split_at_stem()
        low = stem(torch.zeros(1, 3, SIDE, SIDE))
        assert tuple(low.shape) == (1, channels, SIDE // 4, SIDE // 4) and width == channels
        assert rest(low).shape == backbone(torch.zeros(1, 3, SIDE, SIDE))[3].shape


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
