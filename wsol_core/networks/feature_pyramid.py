"""Boxstrap's generators of activation maps, which fuse features of all four backbone stages. Logits out, no sigmoid."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 64
LOW_LEVEL_SHARE = 0.5  # of strides 4 and 8: edges refine what the deep features found, they must not outvote them


def _lateral(channels: int) -> nn.Sequential:
    # Backbones' features differ in scale by orders; without normalisation the largest, low-level ones drown the rest.
    return nn.Sequential(nn.Conv2d(channels, WIDTH, 1, bias=False), nn.BatchNorm2d(WIDTH))


def _block() -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH))


def resized_like(x: Tensor, reference: Tensor) -> Tensor:
    """Maps (B, C, h, w) in the size of `reference`."""
    return F.interpolate(x, size=reference.shape[2:], mode="bilinear", align_corners=False)


def resized(maps: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Maps (B, h, w) as (B, *size_hw)."""
    return F.interpolate(maps[:, None], size=tuple(size_hw), mode="bilinear", align_corners=False)[:, 0]


class CoarseGenerator(nn.Module):
    """One class-agnostic map (B, 1, S/8, S/8) from the features of all stages (strides 4, 8, 16, 16 or 32).

    The top features are detached: they have to serve the classifier, not to draw.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(_lateral(count) for count in channels)
        self.block = _block()
        self.out = nn.Conv2d(WIDTH, 1, 3, padding=1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (B, 1, S/8, S/8)."""
        low, middle, high, top = (
            lateral(feature)
            for lateral, feature in zip(self.laterals, [*features[:3], features[3].detach()], strict=True)
        )
        detail = F.adaptive_avg_pool2d(low, middle.shape[2:]) + middle
        fused = LOW_LEVEL_SHARE * detail + resized_like(high, middle) + resized_like(top, middle)
        logits: Tensor = self.out(F.relu(self.block(fused)))
        return logits


class FineGenerator(nn.Module):
    """A map per class (B, C, S/4, S/4), top-down from stride 16 to stride 4. A logit is shared plus the class's own."""

    def __init__(self, channels: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(_lateral(count) for count in channels)
        self.high, self.middle, self.low = _block(), _block(), _block()
        self.shared = nn.Conv2d(WIDTH, 1, 1)
        self.own = nn.Conv2d(WIDTH, num_classes, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (B, C, S/4, S/4)."""
        low, middle, high, top = (lateral(f) for lateral, f in zip(self.laterals, features, strict=True))
        x = self.high(high + resized_like(top, high))
        x = self.middle(LOW_LEVEL_SHARE * middle + resized_like(x, middle))
        x = F.relu(self.low(LOW_LEVEL_SHARE * low + resized_like(x, low)))
        logits: Tensor = self.shared(x) + self.own(x)
        return logits
