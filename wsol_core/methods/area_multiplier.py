"""The area term of Boxstrap's first stage: a Lagrange multiplier per class keeps activation maps from collapsing."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATE, DECAY = 0.3, 0.9  # of the multipliers: what a step outside the band adds, what one inside leaves
MOMENTUM = 0.1  # of a class's running mean area
LARGEST, LARGEST_WEIGHT = 0.8, 2.0  # a single map's area from which it pays more, and how much


class AreaConstraint(nn.Module):
    """Keeps the mean area of each class's maps in the band [low, high].

    Published area terms weigh area the same whatever happens, so a class whose suppression term has no gradient goes
    empty or full and stays there. Here each class has a multiplier of its own. It rises while the class's running mean
    area is above the band, falls below zero (area is rewarded) under the band, and decays to zero inside:
        multiplier_c <- multiplier_c + rate * (max(0, area_c - high) - max(0, low - area_c))
        multiplier_c <- 0.9 multiplier_c inside the band
        L = mean_i (base + multiplier_{y_i}) * mean(M_i) + 2 * mean_i max(0, mean(M_i) - 0.8)
    """

    running_area: Tensor
    multiplier: Tensor

    def __init__(self, num_classes: int, low: float = 0.06, high: float = 0.35, base: float = 0.5) -> None:
        super().__init__()
        self.low, self.high, self.base = low, high, base
        self.register_buffer("running_area", torch.full((num_classes,), (low + high) / 2))
        self.register_buffer("multiplier", torch.zeros(num_classes))

    def forward(self, foreground_map: Tensor, target: Tensor) -> Tensor:
        """Scalar loss of maps (B, h, w) in [0, 1] made for the classes `target` (B,); updates the multipliers."""
        if not len(target):
            return foreground_map.sum()
        area = foreground_map.float().mean((1, 2))
        self._update(area.detach(), target)
        return ((self.base + self.multiplier[target]) * area + LARGEST_WEIGHT * F.relu(area - LARGEST)).mean()

    @torch.no_grad()
    def _update(self, area: Tensor, target: Tensor) -> None:
        present = F.one_hot(target, len(self.multiplier)).float()
        count = present.sum(0)
        mean = (present * area[:, None]).sum(0) / count.clamp(min=1)
        # A class of which the batch holds none keeps its mean and its multiplier.
        self.running_area += MOMENTUM * torch.where(count > 0, mean - self.running_area, torch.zeros_like(mean))
        excess = F.relu(self.running_area - self.high) - F.relu(self.low - self.running_area)
        inside = excess == 0
        changed = torch.where(inside, DECAY * self.multiplier, self.multiplier + RATE * excess)
        self.multiplier.copy_(torch.where(count > 0, changed, self.multiplier))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # Models and checkpoints of version 0.1 call the multiplier "price".
        if (old := f"{prefix}price") in state_dict:
            state_dict[f"{prefix}multiplier"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, *args)
