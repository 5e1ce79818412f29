"""Classification networks cut into four stages of features, without their heads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from wsol_core.errors import ConfigError, WeightsError
from wsol_core.networks.alignment import OddPixels, moved
from wsol_core.networks.inception_v3 import inception_v3_stages
from wsol_core.networks.mobilenet_v1 import mobilenet_v1_layers, without_classifier
from wsol_core.registry import TIMM, backbone_info, check_backbone

STRIDES = (4, 8, 16, 32)
HEADS = ("classifier.", "fc.", "AuxLogits.")  # of torchvision's networks


class Backbone(nn.Module):
    """Four stages of a classification network, without its head.

    A method gets one with the strides that it asks for (`WsolMethod.strides`), and puts heads of its own on it.

    Args:
        stages: four modules that follow each other.
        channels: of the features that each stage returns.
        name: by which `build_backbone` knows it.
        stem: how many layers of the first stage end at stride 4, before its first block, and their channels; by
            default all of them do.
        kept: how many of the stages had better stay as they are where they were pretrained; the first is small, and
            transformers lose what they know when they learn from few images.

    Example:
        >>> backbone = build_backbone("tiny", strides=(4, 8, 16, 16))
        >>> [tuple(features.shape) for features in backbone(torch.zeros(1, 3, 224, 224))]
        [(1, 24, 56, 56), (1, 48, 28, 28), (1, 96, 14, 14), (1, 128, 14, 14)]
    """

    def __init__(
        self,
        stages: Sequence[nn.Module],
        channels: tuple[int, int, int, int],
        name: str = "",
        stem: tuple[int, int] | None = None,
        kept: int = 1,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = channels
        self.name = name
        self.kept = kept
        self._stem = stem
        self.register_buffer("moves", torch.zeros(4))
        self._moves = (0.0,) * 4  # the same as numbers: to read the tensor at each call would wait for the GPU

    moves: Tensor  # what `align` was called with; not a number in models from before it, which have `OddPixels` instead

    def align(self, moves: Sequence[float]) -> None:
        """From now on the features of each stage are moved right and down by so many of their cells; see `offsets`."""
        self.moves.copy_(torch.tensor(moves))
        self._follow_moves()

    def _follow_moves(self) -> None:
        before_it = bool(self.moves.isnan().any())
        self._moves = (0.0,) * 4 if before_it else tuple(self.moves.tolist())
        for module in self.modules():
            if isinstance(module, OddPixels):
                module.active = before_it

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        state_dict.setdefault(f"{prefix}moves", torch.full((4,), math.nan))
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._follow_moves()

    def split_at_stem(self) -> tuple[nn.Sequential, nn.Sequential, int]:
        """The layers up to the first features at stride 4, all layers after them, and the channels between."""
        first = list(self.stages[0].children())
        count, channels = self._stem or (len(first), self.channels[0])
        return nn.Sequential(*first[:count]), nn.Sequential(*first[count:], *self.stages[1:]), channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of the four stages of (B, 3, S, S) images, (B, channels[i], S / stride_i, S / stride_i)."""
        features = []
        for stage, cells in zip(self.stages, self._moves, strict=True):
            images = stage(images)
            features.append(moved(images, cells) if cells else images)
        return features


def require_backbone(name: str) -> None:
    """ConfigError where the backbone `name` cannot be built here: unknown, or of timm, which lacks it or is missing."""
    check_backbone(name)
    if name.startswith(TIMM):
        # Loads timm, which only who names one of its networks needs to have.
        from wsol_core.networks.timm_backbones import check_timm

        check_timm(name)


def build_backbone(
    name: str,
    strides: Sequence[int] = STRIDES,
    state: Mapping[str, Tensor] | None = None,
    centred: bool = False,
    max_pool: bool = False,
) -> Backbone:
    """The backbone `name` with its stages at `strides`, and the ImageNet weights `state`.

    Args: strides: non-decreasing, each step 1 or 2; a step of 1 removes the stage's stride: (4, 8, 8, 16) is BAS's,
              (4, 8, 16, 16) keeps the top maps at stride 16.
          state: loaded strictly but for the classifier, which is left out. In torchvision's layout, and for
              mobilenet_v1 in that of `mobilenet_v1.py`; for timm's networks in timm's or in that of their authors.
          centred: whether the weights may be of a model from before `Backbone.align`, which has `OddPixels` before the
              second and the fourth halving.
          max_pool: whether the last stage of a ResNet halves by a pooling layer before it, as in BAS, and not by its
              own stride. VGG16 always does; the others never do.
    """
    check_backbone(name)
    steps = [after // before for before, after in pairwise(strides)]
    if strides[0] != STRIDES[0] or any(step not in (1, 2) for step in steps):
        raise ConfigError(f"strides {tuple(strides)} are not possible; they start at 4 and grow by 1 or 2 times.")
    if name.startswith(TIMM):
        from wsol_core.networks.timm_backbones import build_timm

        return build_timm(name, strides, state)
    pooled = max_pool and name.startswith("resnet") and steps[2] == 2
    backbone = _BUILDERS[name]([*steps[:2], 1] if pooled else steps, state)
    backbone.name = name
    if pooled:
        backbone.stages[3] = nn.Sequential(nn.MaxPool2d(2), *backbone.stages[3].children())
    if centred and backbone_info(name).has_weights and name not in _CENTRED_ANYWAY:
        _centre(backbone)
    return backbone


def _centre(backbone: Backbone) -> None:
    halvings = 0
    for index, stage in enumerate(backbone.stages):
        parts: list[nn.Module] = []
        for part in stage.children():
            if _halves(part):
                halvings += 1
                parts += [OddPixels()] if halvings in (2, 4) else []
            parts.append(part)
        backbone.stages[index] = nn.Sequential(*parts)


def _halves(part: nn.Module) -> bool:
    """Whether `part` keeps every second pixel; pooling without padding keeps the mean or maximum of two."""
    layers = [layer for layer in part.modules() if isinstance(layer, nn.Conv2d | nn.MaxPool2d)]
    return any(layer.stride in (2, (2, 2)) and layer.padding not in (0, (0, 0)) for layer in layers)


def _load(model: nn.Module, name: str, state: Mapping[str, Tensor] | None) -> None:
    if state is None:
        return
    # Whatever a classifier ends in is not used, so that weights learned on other classes fit as well.
    own = {key: value for key, value in model.state_dict().items() if key.startswith(HEADS)}
    features = {key: value for key, value in state.items() if not key.startswith(HEADS)}
    try:
        model.load_state_dict({**own, **features}, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise WeightsError(f"The weights do not fit {name} ({first}); use torchvision's state dict of it.") from error


def _mobilenet_v2(steps: Sequence[int], state: Mapping[str, Tensor] | None) -> Backbone:
    model = torchvision.models.mobilenet_v2(weights=None)
    _load(model, "mobilenet_v2", state)
    layers = list(model.features)
    for index, step in zip((4, 7, 14), steps, strict=True):
        layers[index].conv[1][0].stride = (step, step)
    cuts = (0, 4, 7, 14, 19)
    return Backbone([nn.Sequential(*layers[a:b]) for a, b in pairwise(cuts)], (24, 32, 96, 1280))


def _resnet(make: Callable[..., nn.Module], name: str, channels: tuple[int, int, int, int]) -> _Builder:
    def build(steps: Sequence[int], state: Mapping[str, Tensor] | None) -> Backbone:
        model = make(weights=None)
        _load(model, name, state)
        parts = dict(model.named_children())
        for layer, step in zip(("layer2", "layer3", "layer4"), steps, strict=True):
            first_block = next(parts[layer].children())
            for module in first_block.modules():
                if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
                    module.stride = (step, step)
        stem = nn.Sequential(*(parts[part] for part in ("conv1", "bn1", "relu", "maxpool", "layer1")))
        return Backbone([stem, parts["layer2"], parts["layer3"], parts["layer4"]], channels, stem=(4, 64))

    return build


def _vgg16(steps: Sequence[int], state: Mapping[str, Tensor] | None) -> Backbone:
    """Every pool follows its own convolutions. Where a stage keeps its size, its pool opens the next that does not."""
    model = torchvision.models.vgg16(weights=None)
    if state is not None:
        features = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
        _load(model.features, "vgg16", features)
    layers = list(model.features)
    stages = [nn.Sequential(*layers[:10])]  # conv1, pool, conv2, pool
    waiting: list[nn.Module] = []
    for (a, b), step in zip(((10, 16), (17, 23), (24, 30)), steps, strict=True):
        before, after = (waiting, []) if step == 2 and waiting else ([], [layers[b]] if step == 2 else [])
        waiting = [] if after else [layers[b]]
        stages.append(nn.Sequential(*before, *layers[a:b], *after))
    return Backbone(stages, (128, 256, 512, 512))


def _mobilenet_v1(steps: Sequence[int], state: Mapping[str, Tensor] | None) -> Backbone:
    layers = mobilenet_v1_layers(steps)
    if state is not None:
        _load(layers, "mobilenet_v1", without_classifier(state))
    cuts = (0, 4, 6, 12, 14)
    return Backbone([nn.Sequential(*layers[a:b]) for a, b in pairwise(cuts)], (128, 256, 512, 1024))


def _inception_v3(steps: Sequence[int], state: Mapping[str, Tensor] | None) -> Backbone:
    model = torchvision.models.inception_v3(weights=None, init_weights=False)
    _load(model, "inception_v3", state)
    return Backbone(inception_v3_stages(model, steps), (64, 288, 768, 2048))


def _tiny(steps: Sequence[int], state: Mapping[str, Tensor] | None) -> Backbone:
    """Our own: 0.35 M parameters, learns from scratch in minutes on two cores."""
    if state is not None:
        raise WeightsError("The tiny backbone has no pretrained weights; it learns from scratch.")
    channels = (24, 48, 96, 128)
    stem = nn.Sequential(_conv(3, 16, 2), _conv(16, channels[0], 2), _conv(channels[0], channels[0], 1))
    stages = [stem]
    for before, after, step in zip(channels, channels[1:], steps, strict=False):
        stages.append(nn.Sequential(_conv(before, after, step), _conv(after, after, 1)))
    return Backbone(stages, channels)


def _conv(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )


_Builder = Callable[[Sequence[int], Mapping[str, Tensor] | None], Backbone]
_BUILDERS: dict[str, _Builder] = {
    "mobilenet_v2": _mobilenet_v2,
    "resnet18": _resnet(torchvision.models.resnet18, "resnet18", (64, 128, 256, 512)),
    "resnet50": _resnet(torchvision.models.resnet50, "resnet50", (256, 512, 1024, 2048)),
    "vgg16": _vgg16,
    "mobilenet_v1": _mobilenet_v1,
    "inception_v3": _inception_v3,
    "tiny": _tiny,
}
_CENTRED_ANYWAY = ("inception_v3",)  # its unpadded convolutions move cells right and down again
