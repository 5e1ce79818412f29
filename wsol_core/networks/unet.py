"""ORNet's activation map generator, a small U-Net on low-level features. Boxstrap's own are in feature_pyramid.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BASE = 64  # channels of the stem the widths were made for
SLOPE = 0.01  # of LeakyReLU below 0
NARROWEST = 64  # of the class feature maps, so that few classes do not starve the map head


def _double(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for count in (before, after):
        layers += [
            nn.Conv2d(count, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after, momentum=0.01),
            nn.LeakyReLU(SLOPE),
        ]
    return nn.Sequential(*layers)


class UNetGenerator(nn.Module):
    """Features (B, channels, 56, 56) to class feature maps (B, C, 56, 56) and a class-agnostic map's logits.

    ORNet's F^d and heads, widths scaled by `base` (64 in the paper). Its class features have C channels; with few
    classes they are widened to 64 (deviation, notes of the class OrNet).
    """

    def __init__(self, channels: int, num_classes: int, base: int = BASE) -> None:
        super().__init__()
        width = max(num_classes, min(NARROWEST, base))
        self.d1, self.d2, self.d3 = (
            _double(channels, 2 * base),
            _double(2 * base, 4 * base),
            _double(4 * base, 8 * base),
        )
        self.u1 = _double(12 * base, 4 * base)
        self.u2 = _double(6 * base, 3 * base)
        self.u3 = _double(3 * base + channels, width)
        self.map_head = nn.Sequential(nn.Conv2d(width, 1, 3, padding=1, bias=False), nn.BatchNorm2d(1))
        self.auxiliary = nn.Conv2d(width, num_classes, 1, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, low: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map logits (B, 1, h, w), and twice class maps (B, C, h, w): linear ones and activated ones.

        The linear ones are a 1x1 convolution of the features, and their averages the auxiliary logits. The activated
        ones are the features themselves, after their LeakyReLU; where those are wider than the classes, they are
        LeakyReLU of the linear ones.
        """
        d1 = self.d1(F.max_pool2d(low, 2))
        d2 = self.d2(F.max_pool2d(d1, 2))
        d3 = self.d3(F.max_pool2d(d2, 2))
        x = self.u1(_joined(d2, d3))
        x = self.u2(_joined(d1, x))
        x = self.u3(_joined(low, x))
        linear = self.auxiliary(x)
        own = x.shape[1] == linear.shape[1]
        return self.map_head(x), linear, x if own else F.leaky_relu(linear, SLOPE)


def _joined(skip: Tensor, deep: Tensor) -> Tensor:
    up = F.interpolate(deep, size=skip.shape[2:], mode="bilinear", align_corners=False)
    return torch.cat([skip, up], 1)
