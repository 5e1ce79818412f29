"""A light anchor-free head that finds objects: where their centres are, and the box that each place belongs to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsol_core.networks.feature_pyramid import resized_like

WIDTH = 64
DILATION = 2  # of the last convolution: without it a small backbone sees large objects piece by piece
RARE = 0.01  # probability of a centre before any training, as in RetinaNet: nearly all places have none
TYPICAL_SIDE = 0.3  # of the image's side: the box that untrained places predict


class InstanceHead(nn.Module):
    """Centres and boxes at stride 8, from the features of all four stages (strides 4, 8, 16, 16 or 32).

    A centre's logit is shared by all classes plus the class's own. A box is predicted at every place of an object, as
    in FCOS (Tian et al., ICCV 2019), so that places of one object agree on it: that groups them.
    """

    def __init__(self, channels: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, WIDTH, 1, bias=False), nn.BatchNorm2d(WIDTH)) for count in channels
        )
        self.tower = nn.Sequential(_block(WIDTH), nn.Dropout2d(0.1), _block(WIDTH))
        self.register_buffer("dilation", torch.tensor(DILATION))
        self._dilate(DILATION)
        self.shared = nn.Conv2d(WIDTH, 1, 3, padding=1)
        self.own = nn.Conv2d(WIDTH, num_classes, 3, padding=1)
        self.sides = nn.Conv2d(WIDTH, 4, 3, padding=1)
        biases = (math.log(RARE / (1 - RARE)), 0.0, math.log(TYPICAL_SIDE / 2))
        for layer, bias in zip((self.shared, self.own, self.sides), biases, strict=True):
            nn.init.normal_(layer.weight, std=0.01)
            layer.bias.data.fill_(bias)  # type: ignore[union-attr]

    dilation: Tensor  # of the tower's last convolution

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) logits of centres, and (B, 4, h, w) boxes xyxy in shares of the image; h, w = S / 8."""
        low, middle, high, top = (lateral(f) for lateral, f in zip(self.laterals, features, strict=True))
        low = F.adaptive_avg_pool2d(low, middle.shape[2:])
        x = self.tower(F.relu(low + middle + resized_like(high + resized_like(top, high), middle)))
        sides = self.sides(x).float().clamp(-6, 1).exp()
        return (self.shared(x) + self.own(x)).float(), boxes_at(sides)

    @property
    def steps_learned(self) -> int:
        """How many batches have trained it, without those of a model whose weights it began with."""
        return int(self.laterals[0][1].num_batches_tracked)  # type: ignore[index]

    @torch.no_grad()
    def judged_boxes(self, features: Sequence[Tensor], scale: float = 1.0) -> Tensor:
        """Boxes (B, 4, h, w) in shares of the image while the head learns, its statistics and dropout left alone.

        Args: scale: by which the images have been made smaller; objects are predicted in the size they then have.
        """
        training = self.training
        boxes: Tensor = self.eval()(features)[1]
        self.train(training)
        if scale == 1:
            return boxes
        h, w = boxes.shape[2:]
        middles = boxes_at(boxes.new_zeros(1, 4, h, w))
        return middles + (boxes - middles) / scale

    def _dilate(self, dilation: int) -> None:
        convolution = self.tower[2][0]  # type: ignore[index]
        convolution.dilation = convolution.padding = (dilation, dilation)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # Heads from before there was a dilation have none, and go on without.
        self._dilate(int(state_dict.setdefault(f"{prefix}dilation", torch.tensor(1))))
        super()._load_from_state_dict(state_dict, prefix, *args)


def boxes_at(sides: Tensor) -> Tensor:
    """Boxes xyxy (B, 4, h, w) from the distances of each place's centre to the left, upper, right and lower side.

    All are in shares of the image.
    """
    h, w = sides.shape[2:]
    y = (torch.arange(h, device=sides.device, dtype=sides.dtype) + 0.5) / h
    x = (torch.arange(w, device=sides.device, dtype=sides.dtype) + 0.5) / w
    count = sides.shape[0]  # no len(), which graphs would take for a constant
    x, y = x[None, None, :].expand(count, h, w), y[None, :, None].expand(count, h, w)
    left, up, right, down = sides.unbind(1)
    return torch.stack([x - left, y - up, x + right, y + down], 1)


def _block(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
