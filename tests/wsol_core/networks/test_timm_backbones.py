"""timm's networks as backbones: their stages, whose weights they take, and what is said where one does not fit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG, draw
from wsol_core.errors import ConfigError, WeightsError
from wsol_core.localization.predictor import Predictor
from wsol_core.networks.backbones import build_backbone, require_backbone
from wsol_core.networks.timm_backbones import Finer, Renormalize
from wsol_core.training.fit import fit

pytestmark = pytest.mark.slow  # timm itself takes seconds to load

DINO = "timm:vit_small_patch14_dinov2"
FAMILIES = ("test_resnet", "test_efficientnet", "test_convnext", "test_vit", "swin_tiny_patch4_window7_224")


def dinov2_state(depth: int = 12, width: int = 384) -> dict[str, Tensor]:
    """Random weights, named and shaped as in the authors' dinov2_vits14_pretrain.pth."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + (518 // 14) ** 2, width),
        "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
    }
    for block in (f"blocks.{index}" for index in range(depth)):
        for name, rows, columns in (
            ("attn.qkv", 3 * width, width),
            ("attn.proj", width, width),
            ("mlp.fc1", 4 * width, width),
            ("mlp.fc2", width, 4 * width),
        ):
            shapes |= {f"{block}.{name}.weight": (rows, columns), f"{block}.{name}.bias": (rows,)}
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma", "ls2.gamma"):
            shapes[f"{block}.{name}"] = (width,)
    shapes |= {"norm.weight": (width,), "norm.bias": (width,)}
    torch.manual_seed(0)
    return {name: 0.02 * torch.randn(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("strides", [(4, 8, 16, 16), (4, 8, 8, 16), (4, 8, 16, 32)])
@pytest.mark.parametrize("name", FAMILIES)
def test_stages_have_the_strides_and_channels_that_are_asked_for(name: str, strides: tuple[int, ...]) -> None:
    backbone = build_backbone(f"timm:{name}", strides).eval()
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, 64, 96))
    for maps, channels, stride in zip(features, backbone.channels, strides, strict=True):
        assert maps.shape == (1, channels, 64 // stride, 96 // stride)


def test_dinov2_weights_load_as_their_authors_name_them() -> None:
    state = dinov2_state()
    backbone = build_backbone(DINO, (4, 8, 16, 16), state).eval()
    loaded = backbone.state_dict()
    [prefix] = {name.removesuffix("norm.weight") for name in loaded if name.endswith("transformer.norm.weight")}
    assert torch.equal(loaded[f"{prefix}blocks.11.ls2.gamma"], state["blocks.11.ls2.gamma"])
    assert torch.equal(loaded[f"{prefix}pos_embed"], state["pos_embed"])
    with torch.no_grad():
        top = backbone(torch.randn(1, 3, 64, 64))[3]
    assert top.shape == (1, 384, 4, 4)  # tokens of 14 pixels at stride 16, since images are resized before
    assert top.std() > 0


def test_the_weights_change_what_the_features_are() -> None:
    state = build_backbone("timm:test_resnet").state_dict()
    assert state  # names of the stages; timm's own are what a file has
    import timm

    own = timm.create_model("test_resnet").state_dict()
    one, two = (build_backbone("timm:test_resnet", state=own).eval() for _ in range(2))
    other = build_backbone("timm:test_resnet").eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(one(images)[3], two(images)[3])
        assert not torch.equal(one(images)[3], other(images)[3])


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("timm:test_resnet", dinov2_state(depth=1)),
        (DINO, {"conv1.weight": torch.zeros(64, 3, 7, 7)}),
        (DINO, dinov2_state(depth=11)),
        (DINO, dinov2_state(width=192)),
    ],
)
def test_weights_of_another_network_are_a_sentence(name: str, state: dict[str, Tensor]) -> None:
    with pytest.raises(WeightsError, match=rf"The weights do not fit {name} \(.*\); name a file of this very network"):
        build_backbone(name, state=state)


def test_what_is_hidden_at_stride_4_is_hidden_from_a_transformer() -> None:
    backbone = build_backbone("timm:test_vit", (4, 8, 16, 16)).eval()
    images = torch.randn(1, 3, 64, 64)
    seen = torch.ones(1, 1, 16, 16)
    seen[..., 4:8, 8:12] = 0
    hidden = images * nn.functional.interpolate(seen, scale_factor=4, mode="nearest")
    later = nn.Sequential(*backbone.stages[1:])
    with torch.no_grad():
        low = backbone.stages[0](images)
        assert torch.allclose(later(low * seen), later(backbone.stages[0](hidden)), atol=1e-5)


def test_a_finer_map_is_given_back_exactly() -> None:
    maps = torch.randn(2, 3, 4, 5)
    assert torch.equal(nn.AvgPool2d(2)(Finer(2)(maps)), maps)


def test_images_reach_a_network_as_it_was_trained() -> None:
    white = (torch.ones(3) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    own = Renormalize((0.5, 0.5, 0.5), (0.25, 0.5, 1.0))(white[None, :, None, None])
    assert own.flatten().tolist() == pytest.approx([2.0, 1.0, 0.5], abs=1e-5)


def test_an_unknown_network_is_a_sentence_with_names_alike() -> None:
    with pytest.raises(ConfigError, match=r"has no network of this name; did you mean timm:.*dinov2"):
        require_backbone("timm:patch14_dinov2")


def test_a_network_that_cannot_be_cut_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"'timm:hrnet_w18_small' cannot be cut into stages"):
        build_backbone("timm:hrnet_w18_small")


def test_without_timm_installed_faked_by_a_blocked_import_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"install boxstrap\[timm\]"):
        require_backbone("timm:test_vit")


def test_timm_is_loaded_only_where_it_is_named() -> None:
    program = (
        "import sys; from wsol_core.networks.backbones import build_backbone; build_backbone('tiny'); "
        "assert 'timm' not in sys.modules; build_backbone('timm:test_vit'); assert 'timm' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:test_vit"])
def test_a_training_on_a_network_of_timm_leaves_a_model_that_localizes(name: str, tmp_path: Path) -> None:
    import timm

    samples = draw(tmp_path, 12)
    torch.save({"state_dict": timm.create_model(name.removeprefix("timm:")).state_dict()}, tmp_path / "own.pt")
    method = "boxstrap" if name == "timm:test_vit" else CONFIG.method
    config = replace(CONFIG, method=method, backbone=name, pretrained=True, epochs=3)
    card = fit(config, samples, CLASSES, tmp_path / "model", weights=tmp_path / "own.pt")
    assert card.metrics["pretrained"] == 1
    [found] = Predictor.open(tmp_path / "model").localize(samples[:1])
    assert set(found.scores) == set(CLASSES)
