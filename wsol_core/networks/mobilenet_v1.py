"""MobileNetV1, which torchvision lacks: Howard et al., arXiv:1704.04861, with ReLU, as BAS uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

# (channels before, after, stride) of the depthwise separable blocks after the stem.
BLOCKS = (
    (32, 64, 1),
    (64, 128, 2),
    (128, 128, 1),
    (128, 256, 2),
    (256, 256, 1),
    (256, 512, 2),
    *[(512, 512, 1)] * 5,
    (512, 1024, 2),
    (1024, 1024, 1),
)
HALVINGS = (4, 6, 12)  # layers whose strides the stages 1 to 3 may remove


def mobilenet_v1_layers(steps: Sequence[int]) -> nn.Sequential:
    """The 14 layers, stem first, at strides 4, 4 * steps[0] and so on.

    Parameters are named `<layer>.<part>.weight` as in `mobilenet_v1_with_relu_69_5.pth`, the weights of BAS's release.
    """
    strides = dict(zip(HALVINGS, steps, strict=True))
    blocks = [
        _separable(before, after, strides.get(index, stride))
        for index, (before, after, stride) in enumerate(BLOCKS, start=1)
    ]
    return nn.Sequential(nn.Sequential(*_convolution(3, 32, 3, 2)), *blocks)


def without_classifier(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the layers, named as here; files have them below `model.` or `module.model.` too."""
    named = {key.removeprefix("module.").removeprefix("model."): value for key, value in state.items()}
    return {key: value for key, value in named.items() if not key.startswith("fc.")}


def _separable(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(before, before, 3, stride, groups=before), *_convolution(before, after, 1, 1))


def _convolution(before: int, after: int, size: int, stride: int, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(before, after, size, stride, padding=size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    ]
