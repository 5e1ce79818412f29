"""ORNet: a coarse map from low-level features, then its refinement against a frozen evaluator."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.methods.attentive_erasing import attentive_erasing
from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
from wsol_core.methods.losses import area_loss, classification_loss, confusable_area_loss, region_loss, weighted_entropy
from wsol_core.networks.backbones import Backbone
from wsol_core.networks.unet import BASE, UNetGenerator
from wsol_core.registry import register_method

AREA, ENTROPY = 0.02, 1.5


class _Classifier(nn.Module):
    """A backbone from stage `first` on, pooled into class logits."""

    def __init__(self, backbone: Backbone, first: int, num_classes: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(*backbone.stages[first:])
        self.head = nn.Linear(backbone.channels[3], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) logits."""
        logits: Tensor = self.head(self.stages(x).mean((2, 3)))
        return logits


@register_method("ornet")
class OrNet(WsolMethod):
    """Xie et al., Online Refinement of Low-level Feature Based Activation Map, ICCV 2021, arXiv:2110.05741.

    classify: the evaluator F^e learns to classify images; beside it, sharing nothing, the coarse generator learns:
        low-level features f -> U-Net -> map p; L = CE(F2(f * p), y) + CE(auxiliary logits, y).
    localize: only the U-Net's last two steps and the map head learn, against the frozen evaluator:
        L = CE(F^e(I * up(p')), y) + 0.02 L_area + 1.5 L_weighted_entropy, p' the map after attentive erasing.
    Scores come from the evaluator on the whole image, the map from the generator; it serves all classes.

    Deviations: the evaluator is of the chosen backbone's family, as the generator's stem is (VGG16 and ResNet-50 in
    the release). The class features have 64 channels where there are fewer classes, and a 1x1 convolution makes the
    class maps. Frozen and pretrained BatchNorm layers keep their statistics (in the release they drift). The second
    area term is dropped for three classes or fewer, where every class is spared. The trainer of stage one was not
    released: equal weights and SGD with a cosine, as the evaluator's. One class alone is judged by a sigmoid.
    """

    stages: ClassVar[tuple[str, ...]] = ("classify", "localize")
    default_epochs: ClassVar[dict[str, int]] = {"classify": 12, "localize": 8}  # paper: 70 (evaluator 200) and 30
    strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 16, 32)

    def __init__(self, backbone: Backbone, num_classes: int, multi_label: bool, pretrained: bool) -> None:
        super().__init__(num_classes, multi_label, pretrained)
        self.evaluator = _Classifier(copy.deepcopy(backbone), 0, num_classes)
        self.stem = backbone.stages[0]
        self.rest = _Classifier(backbone, 1, num_classes)
        self.generator = UNetGenerator(backbone.channels[0], num_classes, min(BASE, 2 * backbone.channels[0]))
        self.refines = False

    def begin_stage(self, stage: str) -> None:
        """Stage "localize" frees the last two steps of the U-Net and the map head, and nothing else."""
        self.refines = stage == "localize"
        self.requires_grad_(not self.refines)
        for part in self._refined():
            part.requires_grad_(True)

    def train(self, mode: bool = True) -> OrNet:
        """As nn.Module's, but what is frozen and what was pretrained keeps its BatchNorm statistics."""
        super().train(mode)
        if self.refines:
            self.eval_all_but_refined(mode)
        elif self.pretrained:
            for part in (self.evaluator.stages, self.stem, self.rest.stages):
                part.eval()
        return self

    def eval_all_but_refined(self, mode: bool) -> None:
        """Only what learns in stage "localize" follows `mode`."""
        for part in (self.evaluator, self.stem, self.rest, self.generator):
            part.eval()
        for part in self._refined():
            part.train(mode)

    def _refined(self) -> tuple[nn.Module, ...]:
        return self.generator.u2, self.generator.u3, self.generator.map_head

    def optimizer(self, stage: str) -> str:
        """SGD, and Adam for the refinement, as released."""
        return "adam" if stage == "localize" else "sgd"

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """The release's rates; what is new moves ten times faster."""
        if stage == "localize":
            refined = [parameter for part in self._refined() for parameter in part.parameters()]
            return [{"params": refined, "lr": 1e-4, "weight_decay": 0.0}]
        new = [self.evaluator.head, self.rest.head, self.generator]
        old = [self.evaluator.stages, self.stem, self.rest.stages]
        return [
            {"params": [p for part in parts for p in part.parameters()], "lr": lr, "weight_decay": 5e-4}
            for parts, lr in ((old, 1e-3 if self.pretrained else 1e-2), (new, 1e-2))
        ]

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """Terms of one step; see the class."""
        return self._coarse(batch) if stage == "classify" else self._refinement(batch)

    def _coarse(self, batch: Batch) -> LossTerms:
        low = self.stem(batch.images)
        map_logits, class_maps = self.generator(low)
        foreground = map_logits.float().sigmoid()
        scores = self.rest(low * foreground.to(low.dtype))
        return {
            "evaluator": classification_loss(self.evaluator(batch.images), batch.labels, self.multi_label),
            "classification": classification_loss(scores, batch.labels, self.multi_label),
            "auxiliary": classification_loss(class_maps.float().mean((2, 3)), batch.labels, self.multi_label),
            "regions": region_loss(foreground[:, 0], batch.region, batch.region_kind),
        }

    def _refinement(self, batch: Batch) -> LossTerms:
        with torch.no_grad():
            low = self.stem(batch.images)
        map_logits, class_maps = self.generator(low)
        foreground = map_logits.float().sigmoid()[:, 0]
        erased = F.interpolate(attentive_erasing(foreground)[:, None], size=batch.images.shape[2:], mode="nearest")
        logits = self.evaluator(batch.images * erased).float()
        return {
            "evaluation": classification_loss(logits, batch.labels, self.multi_label),
            "area": AREA * (area_loss(foreground) + confusable_area_loss(class_maps, logits.softmax(1))),
            "entropy": ENTROPY * weighted_entropy(foreground),
            "regions": region_loss(foreground, batch.region, batch.region_kind),
        }

    def forward(self, images: Tensor) -> Prediction:
        """The evaluator's logits (B, C) and one map (B, 1, S/4, S/4)."""
        map_logits, _ = self.generator(self.stem(images))
        return Prediction(self.evaluator(images).float(), map_logits.float().sigmoid())
