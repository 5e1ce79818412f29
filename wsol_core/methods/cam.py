"""CAM: the classifier's own class activation maps, the baseline of every report."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
from wsol_core.methods.losses import classification_loss
from wsol_core.networks.backbones import Backbone
from wsol_core.registry import register_method


@register_method("cam")
class Cam(WsolMethod):
    """Zhou et al., CVPR 2016: class maps are the class's weights applied to every place of the last features.

    The weights are a 1x1 convolution before the average pooling, which gives the same scores and the maps at once; the
    top stage keeps stride 16, as all later work does. A map is relu(Z_c) divided by its maximum.
    """

    stages: ClassVar[tuple[str, ...]] = ("classify",)
    default_epochs: ClassVar[dict[str, int]] = {"classify": 12}
    strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 16, 16)

    def __init__(self, backbone: Backbone, num_classes: int, multi_label: bool, pretrained: bool) -> None:
        super().__init__(num_classes, multi_label, pretrained)
        self.backbone = backbone
        self.head = nn.Conv2d(backbone.channels[3], num_classes, 1)

    def begin_stage(self, stage: str) -> None:
        """Everything learns."""
        self.requires_grad_(True)

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """The head ten times faster than pretrained features."""
        return [
            {"params": list(self.backbone.parameters()), "lr": 1e-3 if self.pretrained else 2e-2, "weight_decay": 5e-4},
            {"params": list(self.head.parameters()), "lr": 1e-2, "weight_decay": 5e-4},
        ]

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """The classification loss alone."""
        logits = self.head(self.backbone(batch.images)[3]).float().mean((2, 3))
        return {"classification": classification_loss(logits, batch.labels, self.multi_label)}

    def forward(self, images: Tensor) -> Prediction:
        """Logits (B, C) and maps (B, C, S/16, S/16)."""
        class_maps = self.head(self.backbone(images)[3]).float()
        positive = class_maps.relu()
        return Prediction(class_maps.mean((2, 3)), positive / positive.amax((2, 3), keepdim=True).clamp(min=1e-6))
