"""WSL-BG: background images as extra supervision. A reconstruction from the abstract, see the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
from wsol_core.methods.losses import classification_loss, mask_alignment_loss
from wsol_core.methods.mosaics import border_mosaics
from wsol_core.networks.backbones import Backbone
from wsol_core.ops.maps import min_max_tensor
from wsol_core.options import MethodOptions, PublishedOptions
from wsol_core.registry import register_method

WIDTH = 256
EMPTINESS, RAMP_FROM, RAMP_TO = 0.5, 0.1, 0.3
MOSAIC_SHARE = 4  # a mosaic of either kind for so many images


@dataclass(frozen=True, kw_only=True)
class WslBgOptions(PublishedOptions):
    """Options of WSL-BG; `maps`: "product" of class map and foreground for prediction, or the class map "response"."""

    maps: Literal["product", "response"] = "product"


@register_method("wsl_bg")
class WslBg(WsolMethod):
    """Kou, Zhao, Cui, Wang, arXiv:1909.03619. A RECONSTRUCTION from its abstract: the paper's text was not at hand.

    Known: an additional module finds foreground without categories, thanks to a small set of background images; its
    normalised output supervises the class response maps, which grow by that. Everything else is invented here: with A
    the module's map, P the class maps, y the target, on images with an object (t = 1) and backgrounds (t = 0),
        L = CE(GAP P, y) + BCE(sigmoid(GAP A), t) + 0.5 mean_bg (softplus A + softplus P)
            + lambda mean (minmax(relu P_y) - sg minmax(relu A))^2,   lambda from 0 to 1 over 10 % to 30 % of training.
    Invented are all four losses and their weights, the emptiness of A and P on backgrounds, the ramp, where A and P
    attach (both to the last stage, at stride 16), the shape of the module, and the schedule.

    A map is sqrt(minmax(relu P_c) * minmax(relu A)), or minmax(relu P_c) alone with the option `maps` "response": the
    abstract speaks of the response map itself, and the product is ours.

    Without background images, border mosaics of the project's own images stand in, which is ours too. One class alone
    is judged by a sigmoid against the backgrounds, so that it has something to be told from.
    """

    stages: ClassVar[tuple[str, ...]] = ("localize",)
    default_epochs: ClassVar[dict[str, int]] = {"localize": 16}
    wants_backgrounds: ClassVar[bool] = True
    strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 16, 16)
    options_class: ClassVar[type[MethodOptions]] = WslBgOptions
    options: WslBgOptions

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        multi_label: bool,
        pretrained: bool,
        options: WslBgOptions | None = None,
    ) -> None:
        super().__init__(num_classes, multi_label, pretrained, options)
        self.backbone = backbone
        channels = backbone.channels[3]
        self.head = nn.Conv2d(channels, num_classes, 1)
        self.foreground = nn.Sequential(
            nn.Conv2d(channels, min(WIDTH, channels), 3, padding=1, bias=False),
            nn.BatchNorm2d(min(WIDTH, channels)),
            nn.ReLU(),
            nn.Conv2d(min(WIDTH, channels), 1, 1),
        )

    def begin_stage(self, stage: str) -> None:
        """Everything learns."""
        self.requires_grad_(True)

    def train(self, mode: bool = True) -> WslBg:
        """As nn.Module's, but pretrained features may keep their BatchNorm statistics."""
        super().train(mode)
        if self.pretrained and self.options.batchnorm == "frozen":
            self.backbone.eval()
        return self

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """BAS's rates, so that comparisons are clean: what is new ten times faster, biases twice as fast."""
        slow, fast = self.options.lr or (1e-3 if self.pretrained else 1e-2), self.options.new_lr or 1e-2
        new = [*self.head.named_parameters(), *self.foreground.named_parameters()]
        groups = []
        for named, lr in ((list(self.backbone.named_parameters()), slow), (new, fast)):
            for of_biases, rate in ((False, lr), (True, 2 * lr)):
                chosen = [parameter for name, parameter in named if name.endswith("bias") == of_biases]
                groups.append({"params": chosen, "lr": rate, "weight_decay": 5e-4})
        return [group for group in groups if group["params"]]

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """Terms of one step; see the class."""
        count, present = len(batch.images), batch.images[:0]
        empty = batch.backgrounds
        if empty is None:
            present, empty = border_mosaics(batch.images[: max(1, count // MOSAIC_SHARE)])
        top = self.backbone(torch.cat([batch.images, present, empty]))[3]
        class_maps, attention = self.head(top).float(), self.foreground(top).float()
        is_object = torch.ones(len(top), device=top.device)
        is_object[-len(empty) :] = 0
        own = class_maps[torch.arange(count, device=top.device), batch.target]
        ramp = min(1.0, max(0.0, (progress - RAMP_FROM) / (RAMP_TO - RAMP_FROM)))
        nothing = is_object == 0
        return {
            "classification": self._classification(class_maps, batch.labels, is_object),
            "foreground": F.binary_cross_entropy_with_logits(attention.mean((1, 2, 3)), is_object),
            "emptiness": EMPTINESS * (F.softplus(attention[nothing]).mean() + F.softplus(class_maps[nothing]).mean()),
            "alignment": ramp
            * mask_alignment_loss(min_max_tensor(own.relu()), min_max_tensor(attention[:count, 0].relu())),
        }

    def _classification(self, class_maps: Tensor, labels: Tensor, is_object: Tensor) -> Tensor:
        logits = class_maps.mean((2, 3))
        if self.num_classes > 1:
            return classification_loss(logits[: len(labels)], labels, self.multi_label)
        return classification_loss(logits, is_object[:, None], True)

    def forward(self, images: Tensor) -> Prediction:
        """Logits (B, C) and maps (B, C, S/16, S/16)."""
        top = self.backbone(images)[3]
        class_maps, attention = self.head(top).float(), self.foreground(top).float()
        logits, response = class_maps.mean((2, 3)), min_max_tensor(class_maps.relu())
        if self.options.maps == "response":
            return Prediction(logits, response)
        return Prediction(logits, (response * min_max_tensor(attention[:, 0].relu())[:, None]).sqrt())
