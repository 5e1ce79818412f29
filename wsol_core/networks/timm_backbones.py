"""Networks of timm as backbones of four stages. timm, the extra `boxstrap[timm]`, is loaded where one is named.

Networks with features at strides 4, 8, 16 and 32 are cut where those end. Transformers of one stride, such as DINOv2's,
give their last tokens at every stride but 4, after the simple pyramid of ViTDet (Li et al., arXiv:2203.16527); at
stride 4 are the image's own pixels, so that what a method hides there is hidden from the transformer too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from wsol_core.errors import ConfigError, WeightsError
from wsol_core.networks.backbones import STRIDES, Backbone
from wsol_core.networks.inception_v3 import MEAN, STD
from wsol_core.registry import TIMM

GRIDS = (8, 16, 32)  # strides that a transformer's tokens may have
CLASSIFIERS = ("classifier", "fc", "head", "head_dist")


class Renormalize(nn.Module):
    """Images (B, 3, S, S) without ImageNet's mean and deviation, as without those that a network was trained with."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.factor = [before / after for before, after in zip(STD, std, strict=True)]
        self.shift = [(before - after) / by for before, after, by in zip(MEAN, mean, std, strict=True)]

    def forward(self, images: Tensor) -> Tensor:
        """Like `images`."""
        factor, shift = (images.new_tensor(values)[:, None, None] for values in (self.factor, self.shift))
        return images * factor + shift


class Finer(nn.Module):
    """Maps (B, C, h, w) with each cell repeated `times` x `times`; `nn.AvgPool2d(times)` gives exactly them back."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, times * h, times * w)."""
        return F.interpolate(maps, scale_factor=float(self.times), mode="nearest")


class ChannelsFirst(nn.Module):
    """Maps (B, h, w, C), as some transformers give them, as (B, C, h, w)."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w)."""
        return maps.permute(0, 3, 1, 2).contiguous()


class ChannelsLast(nn.Module):
    """The way back of `ChannelsFirst`."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, h, w, C)."""
        return maps.permute(0, 2, 3, 1).contiguous()


class Tokens(nn.Module):
    """A transformer's last tokens as maps.

    Args: patch_px: what a token sees. grid_px: the stride of its tokens here; images are resized so that it fits.
    """

    def __init__(self, transformer: Any, patch_px: int, grid_px: int) -> None:
        super().__init__()
        self.transformer = transformer
        self.scale = patch_px / grid_px

    def forward(self, images: Tensor) -> Tensor:
        """(B, channels, S / grid_px, S / grid_px) of images (B, 3, S, S)."""
        if self.scale != 1:
            side_px = [round(side * self.scale) for side in images.shape[2:]]
            images = F.interpolate(images, size=side_px, mode="bilinear", align_corners=False, antialias=self.scale < 1)
        maps: Tensor = self.transformer.forward_intermediates(
            images, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )[0]
        return maps


def build_timm(name: str, strides: Sequence[int], state: Mapping[str, Tensor] | None) -> Backbone:
    """timm's network `name`, which begins with timm:, with its stages at `strides` and the weights `state`.

    Raises:
        ConfigError: timm is not installed, does not know the network, or the network has no features to take.
        WeightsError: the weights are of another network.
    """
    model = _create(name, strides)
    if state is not None:
        _load(model, name, state)
    reductions = {info["reduction"] for info in model.feature_info}
    built = _transformer(name, model, strides) if len(reductions) == 1 else _pyramid(name, model, strides)
    built.name = name
    return built


def downloaded_state(name: str) -> dict[str, Tensor]:
    """The weights that timm itself has for the network `name`, from its cache or downloaded; raises what timm does."""
    model = _timm().create_model(name.removeprefix(TIMM), pretrained=True)
    return dict(model.state_dict())


def check_timm(name: str) -> None:
    """ConfigError where timm is not installed or has no network of that name."""
    timm = _timm()
    asked = name.removeprefix(TIMM)
    if asked.split(".")[0] not in timm.list_models():
        alike = timm.list_models(f"*{asked.split('.')[0]}*")[:5]
        which = f"did you mean {' or '.join(TIMM + each for each in alike)}?" if alike else "see timm.list_models()."
        raise ConfigError(f"backbone {name!r}: timm {timm.__version__} has no network of this name; {which}")


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ConfigError(
            f"A backbone of timm is named, but timm cannot be imported ({error}); install boxstrap[timm]."
        ) from error
    return timm


def _create(name: str, strides: Sequence[int]) -> Any:
    """The whole network without its classifier; fewer strides by its own means where it has any."""
    check_timm(name)
    create = _timm().create_model
    ways: list[dict[str, Any]] = [{"dynamic_img_size": True}, {"strict_img_size": False}, {}]
    if strides[3] < STRIDES[3]:
        ways.insert(0, {"output_stride": strides[3]})
    for way in ways:
        try:
            model = create(name.removeprefix(TIMM), pretrained=False, num_classes=0, **way)
        except (TypeError, AssertionError, NotImplementedError, ValueError):
            continue  # this network has no such argument
        if hasattr(model, "feature_info"):
            return model
    raise ConfigError(f"backbone {name!r} gives no features in timm; choose a convolutional network or a transformer.")


def _load(model: Any, name: str, state: Mapping[str, Tensor]) -> None:
    """Weights by timm's names, or by those of the publication where timm translates them, as of DINOv2."""
    translate = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    try:
        named = translate(dict(state), model) if translate else dict(state)
        found = {key: value for key, value in named.items() if key.split(".")[0] not in CLASSIFIERS}
        wanted = model.state_dict()
        # A classifier that timm keeps, such as a pooling head's norm, is not used.
        missing = [key for key in wanted if key not in found and key.split(".")[0] not in CLASSIFIERS]
        unknown = [key for key in found if key not in wanted]
        if missing or unknown:
            raise ValueError(f"{missing[0]} is missing" if missing else f"{unknown[0]} is not in it")
        model.load_state_dict(found, strict=False)
    except (RuntimeError, ValueError, KeyError, AttributeError, TypeError) as error:
        first = str(error).splitlines()[-1].strip()
        raise WeightsError(
            f"The weights do not fit {name} ({first}); name a file of this very network, in timm's layout or that of "
            "its authors."
        ) from error


def _transformer(name: str, model: Any, strides: Sequence[int]) -> Backbone:
    """Pixels at stride 4; the last tokens at the other strides."""
    last = model.feature_info[-1]
    patch_px, channels = int(last["reduction"]), int(last["num_chs"])
    if not hasattr(model, "forward_intermediates"):
        raise ConfigError(f"backbone {name!r} gives no maps of its tokens in timm; choose a vit, deit, eva or beit.")
    grid_px = min(GRIDS, key=lambda stride: abs(stride - patch_px))
    tokens = [nn.PixelShuffle(4), *_renormalized(model), Tokens(model, patch_px, grid_px)]
    stages = [nn.Sequential(nn.PixelUnshuffle(4)), nn.Sequential(*tokens, *_resampled(grid_px, strides[1]))]
    stages += [nn.Sequential(*_resampled(before, after)) for before, after in pairwise(strides[1:])]
    return Backbone(stages, (3 * 16, channels, channels, channels), kept=4)


def _pyramid(name: str, model: Any, strides: Sequence[int]) -> Backbone:
    """The network cut behind its last layers of each stride; stages of other strides than asked are resampled."""
    from timm.models import FeatureListNet

    infos = list(model.feature_info)
    places = _places(name, [int(info["reduction"]) for info in infos], strides[3])
    try:
        layers = FeatureListNet(
            model,
            out_indices=tuple(places),
            flatten_sequential=any("." in infos[place]["module"] for place in places),
            output_fmt=getattr(model, "output_fmt", "NCHW"),
        )
    except (AssertionError, KeyError, ValueError) as error:
        raise ConfigError(
            f"backbone {name!r} cannot be cut into stages ({error}); choose another of timm's."
        ) from error
    channels_last = str(layers.output_fmt).endswith("NHWC")
    cuts = set(layers.return_layers)
    stages: list[nn.Module] = []
    parts: list[nn.Module] = _renormalized(model)
    own = [int(infos[place]["reduction"]) for place in places]
    for label, layer in layers.items():
        parts.append(layer)
        if label in cuts:
            at = len(stages)
            if at:  # as the layer before has left it
                parts = [
                    *_resampled(strides[at - 1], own[at - 1]),
                    *([ChannelsLast()] if channels_last else []),
                    *parts,
                ]
            parts += [*([ChannelsFirst()] if channels_last else []), *_resampled(own[at], strides[at])]
            stages.append(nn.Sequential(*parts))
            parts = []
    channels = [int(infos[place]["num_chs"]) for place in places]
    return Backbone(stages, (channels[0], channels[1], channels[2], channels[3]))


def _places(name: str, reductions: Sequence[int], top: int) -> list[int]:
    """Which features are the stages: the last ones of strides 4, 8 and 16, and the last of all."""
    places = [max((i for i, found in enumerate(reductions) if found == wanted), default=-1) for wanted in STRIDES[:3]]
    if top == STRIDES[2] or STRIDES[3] not in reductions:
        # With its last stride removed, the last two stages both have stride 16.
        deep = [index for index, found in enumerate(reductions) if found == STRIDES[2]]
        if len(deep) > 1:
            return [*places[:2], deep[-2], deep[-1]]
    places.append(max((i for i, found in enumerate(reductions) if found == STRIDES[3]), default=-1))
    if -1 in places:
        raise ConfigError(f"backbone {name!r} has features at strides {tuple(reductions)}; 4, 8, 16 and 32 are needed.")
    return places


def _resampled(before: int, after: int) -> list[nn.Module]:
    """What brings maps of stride `before` to stride `after`."""
    if before == after:
        return []
    return [Finer(before // after)] if before > after else [nn.AvgPool2d(after // before)]


def _renormalized(model: Any) -> list[nn.Module]:
    trained: Mapping[str, Any] = getattr(model, "pretrained_cfg", {})
    mean, std = tuple(trained.get("mean", MEAN)), tuple(trained.get("std", STD))
    return [] if (mean, std) == (MEAN, STD) else [Renormalize(mean, std)]
