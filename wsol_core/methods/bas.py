"""BAS: background activation suppression with foreground guidance and an area constraint."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
from wsol_core.methods.losses import area_loss, background_activation_loss, classification_loss, region_loss
from wsol_core.networks.backbones import Backbone
from wsol_core.networks.frozen_call import frozen_call
from wsol_core.records import NO_REGION
from wsol_core.registry import register_method

HEAD_WIDTH = 1024


class _ClassMaps(nn.Module):
    """f2 of the paper: the last backbone stage and the class head; features at stride 8 to class maps at stride 16."""

    def __init__(self, stage: nn.Module, channels: int, num_classes: int) -> None:
        super().__init__()
        width = min(HEAD_WIDTH, channels)
        self.stage = stage
        self.head = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, num_classes, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) class maps."""
        maps: Tensor = self.head(self.stage(features))
        return maps


@register_method("bas")
class Bas(WsolMethod):
    """Wu, Zhai, Cao, CVPR 2022, arXiv:2112.00580, in the form of the extension, IJCV, arXiv:2309.12943.

        L = L_cls + alpha L_frg + L_bas + beta L_ac

    F are features at stride 8, M = sigmoid(conv3x3(F)) one foreground map per class, Z the class maps, y the target.
    L_bas sees F (detached) through 1 - M_y with frozen parameters: it teaches the generator and, through the
    generator, the features, and never the classifier. L_frg is the cross-entropy of GAP(Z * pooled M_y).

    alpha 0.5 and beta 1.5 are the paper's for MobileNet and ResNet-50 on CUB (VGG16: 0 and 0.9); the suppression
    constant is 1. Prediction averages the maps of the `fused` most probable classes (the paper: up to all for
    fine-grained classes); 1 takes the asked class's own.

    Deviations: the head is no wider than its input, which keeps the tiny backbone tiny; pretrained BatchNorm layers
    keep their statistics, as batches of small projects would spoil them; a cosine schedule in place of the step.
    Several classes in an image: the WSSS variant, one target drawn at random and a sigmoid per class.
    """

    stages: ClassVar[tuple[str, ...]] = ("localize",)
    default_epochs: ClassVar[dict[str, int]] = {"localize": 20}
    strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 8, 16)
    guidance: ClassVar[float] = 0.5  # alpha
    area: ClassVar[float] = 1.5  # beta

    def __init__(
        self, backbone: Backbone, num_classes: int, multi_label: bool, pretrained: bool, fused: int = 1
    ) -> None:
        super().__init__(num_classes, multi_label, pretrained)
        self.fused = min(fused, num_classes)
        self.features = nn.Sequential(*backbone.stages[:3])
        self.class_maps = _ClassMaps(backbone.stages[3], backbone.channels[3], num_classes)
        self.generator = nn.Conv2d(backbone.channels[2], num_classes, 3, padding=1)
        for module in [*self.class_maps.head, self.generator]:
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.constant_(module.bias, 0)  # type: ignore[arg-type]

    def begin_stage(self, stage: str) -> None:
        """Everything learns."""
        self.requires_grad_(True)

    def train(self, mode: bool = True) -> Bas:
        """As nn.Module's, but pretrained features keep their BatchNorm statistics."""
        super().train(mode)
        if self.pretrained:
            self.features.eval()
            self.class_maps.stage.eval()
        return self

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """The paper's: biases twice as fast, class head and generator ten times."""
        slow = 1e-3 if self.pretrained else 1e-2
        groups = []
        for modules, lr in (
            ((self.features, self.class_maps.stage), slow),
            ((self.class_maps.head, self.generator), 1e-2),
        ):
            named = [item for module in modules for item in module.named_parameters()]
            weights = [p for name, p in named if not name.endswith("bias")]
            biases = [p for name, p in named if name.endswith("bias")]
            groups.append({"params": weights, "lr": lr, "weight_decay": 5e-4})
            groups.append({"params": biases, "lr": 2 * lr, "weight_decay": 5e-4})
        return [group for group in groups if group["params"]]

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """The four terms of the class docstring, and `regions` for what people corrected."""
        everyone = torch.arange(len(batch.images), device=batch.images.device)
        features = self.features(batch.images)
        class_maps = self.class_maps(features).float()
        scores = class_maps.mean((2, 3))
        foreground = self.generator(features).float().sigmoid()[everyone, batch.target]
        weak = batch.region_kind == NO_REGION
        background_scores = self._background_scores(features, foreground)[everyone, batch.target]
        guided = (class_maps * F.avg_pool2d(foreground[:, None], 2)).mean((2, 3))
        return {
            "classification": classification_loss(scores, batch.labels, self.multi_label),
            "guidance": self.guidance * classification_loss(guided, batch.labels, self.multi_label),
            "suppression": background_activation_loss(background_scores[weak], scores[everyone, batch.target][weak]),
            "area": self.area * area_loss(foreground[weak]),
            "regions": region_loss(foreground, batch.region, batch.region_kind),
        }

    def _background_scores(self, features: Tensor, foreground: Tensor) -> Tensor:
        """(B, C) scores of the features outside M; only M gets gradient."""
        maps = frozen_call(self.class_maps, features.detach() * (1 - foreground[:, None]))
        return maps.float().mean((2, 3))

    def forward(self, images: Tensor) -> Prediction:
        """Logits (B, C) and maps (B, C, S/8, S/8), or one fused map for all classes."""
        features = self.features(images)
        logits = self.class_maps(features).float().mean((2, 3))
        maps = self.generator(features).float().sigmoid()
        if self.fused > 1:
            best = logits.topk(self.fused, 1).indices
            chosen = maps.gather(1, best[:, :, None, None].expand(-1, -1, *maps.shape[2:]))
            maps = chosen.mean(1, keepdim=True)
        return Prediction(logits, maps)
