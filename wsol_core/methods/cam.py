"""CAM: the classifier's own class activation maps, the baseline of every report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.data.transforms import Augmentation
from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
from wsol_core.methods.losses import classification_loss
from wsol_core.networks.backbones import Backbone
from wsol_core.ops.maps import min_max_tensor
from wsol_core.options import MethodOptions, PublishedOptions
from wsol_core.registry import register_method


@dataclass(frozen=True, kw_only=True)
class CamOptions(PublishedOptions):
    """Options of CAM; `relu`: whether what speaks against a class is cut off its map."""

    batchnorm: Literal["frozen", "batch"] = "batch"
    relu: bool = True


@register_method("cam")
class Cam(WsolMethod):
    """Zhou et al., CVPR 2016: class maps are the class's weights applied to every place of the last features.

    The weights are a 1x1 convolution before the average pooling, which gives the same scores and the maps at once; the
    top stage keeps stride 16, as all later work does. A map is relu(Z_c) divided by its maximum; with the option
    `relu` off it is Z_c min-max normalised, as in wsolevaluation (Choe et al., CVPR 2020): a bias moves every place of
    Z_c alike, so such a map does not depend on it.
    """

    stages: ClassVar[tuple[str, ...]] = ("classify",)
    default_epochs: ClassVar[dict[str, int]] = {"classify": 12}
    strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 16, 16)
    augmentation: ClassVar[Augmentation] = Augmentation(jitter=0)
    options_class: ClassVar[type[MethodOptions]] = CamOptions
    options: CamOptions

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        multi_label: bool,
        pretrained: bool,
        options: CamOptions | None = None,
    ) -> None:
        super().__init__(num_classes, multi_label, pretrained, options)
        self.backbone = backbone
        self.head = nn.Conv2d(backbone.channels[3], num_classes, 1)

    def begin_stage(self, stage: str) -> None:
        """Everything learns."""
        self.requires_grad_(True)

    def train(self, mode: bool = True) -> Cam:
        """As nn.Module's, but pretrained features may keep their BatchNorm statistics."""
        super().train(mode)
        if self.pretrained and self.options.batchnorm == "frozen":
            self.backbone.eval()
        return self

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """The head ten times faster than pretrained features."""
        slow = self.options.lr or (1e-3 if self.pretrained else 2e-2)
        return [
            {"params": list(self.backbone.parameters()), "lr": slow, "weight_decay": 5e-4},
            {"params": list(self.head.parameters()), "lr": self.options.new_lr or 1e-2, "weight_decay": 5e-4},
        ]

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """The classification loss alone."""
        logits = self.head(self.backbone(batch.images)[3]).float().mean((2, 3))
        return {"classification": classification_loss(logits, batch.labels, self.multi_label)}

    def forward(self, images: Tensor) -> Prediction:
        """Logits (B, C) and maps (B, C, S/16, S/16)."""
        class_maps = self.head(self.backbone(images)[3]).float()
        if not self.options.relu:
            return Prediction(class_maps.mean((2, 3)), min_max_tensor(class_maps))
        positive = class_maps.relu()
        return Prediction(class_maps.mean((2, 3)), positive / positive.amax((2, 3), keepdim=True).clamp(min=1e-6))
