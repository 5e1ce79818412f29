"""A classifier that begins at the features of the stem, such as those of which a map has hidden a part."""

from __future__ import annotations

from torch import Tensor, nn

from wsol_core.networks.backbones import Backbone


class Scorer(nn.Module):
    """The backbone's later stages with a head of class maps, so that both can run with detached parameters."""

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.stages = nn.Sequential(*backbone.stages[1:])
        self.head = head

    def forward(self, low: Tensor) -> Tensor:
        """(B, C) logits of stem features."""
        class_maps: Tensor = self.head(self.stages(low))
        return class_maps.float().mean((2, 3))
