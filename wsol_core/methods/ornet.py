"""ORNet: a coarse map from low-level features, then its refinement against a frozen evaluator."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.data.transforms import Augmentation
from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
from wsol_core.methods.erasing import Erasing, erase
from wsol_core.methods.losses import area_loss, classification_loss, confusable_area_loss, region_loss, weighted_entropy
from wsol_core.methods.ornet_evaluators import PooledClassifier, Vgg16Evaluator
from wsol_core.networks.backbones import Backbone
from wsol_core.networks.unet import BASE, UNetGenerator
from wsol_core.options import MethodOptions, PublishedOptions, bounded
from wsol_core.registry import register_method

AREA, ENTROPY = 0.02, 1.5
REFINEMENT_LR, WEIGHT_DECAY = 1e-4, 5e-4


@dataclass(frozen=True, kw_only=True)
class OrNetOptions(PublishedOptions):
    """Options of ORNet.

    Attributes:
        evaluator: "light" is a second copy of the backbone; "vgg16" is torchvision's whole VGG16, as released, with
            the dropout active in stage localize, and its own last layer where there are 1,000 classes.
        erasing: how the refined map is erased; see `erase`. The supplement has CorLoc 86.19 on CUB for attentive,
            84.07 for random, 80.55 for rectangle.
        erasing_share: the largest share of the values' range that is erased; 85.92 for .4 and 86.19 for .5 there.
        stem: where low-level features end: "pool", before a ResNet's first block, as released, or its first "stage".
        fresh_top: whether the last stage begins untrained, as released for ILSVRC.
    """

    evaluator: Literal["light", "vgg16"] = "light"
    erasing: Erasing = "attentive"
    erasing_share: float = bounded(0.5, least=0, most=1)
    stem: Literal["pool", "stage"] = "pool"
    fresh_top: bool = False


@register_method("ornet")
class OrNet(WsolMethod):
    """Xie et al., Online Refinement of Low-level Feature Based Activation Map, ICCV 2021, arXiv:2110.05741.

    evaluator: the evaluator F^e learns to classify images, CE(F^e(I), y).
    classify: the coarse generator learns: low-level features f -> U-Net -> map p; L = CE(F2(f * p), y) + CE(auxiliary
        logits, y).
    localize: only the U-Net's last two steps and the map head learn, against the frozen evaluator:
        L = CE(F^e(I * up(p')), y) + 0.02 L_area + 1.5 L_weighted_entropy, p' the map after attentive erasing.
    Scores come from the evaluator on the whole image, the map from the generator; it serves all classes.

    Deviations by default, which options turn off: the evaluator is of the chosen backbone's family; BatchNorm layers
    that are frozen or pretrained keep their statistics (in the release they drift); what is new learns ten times
    faster; fewer epochs. Deviations that stay: the class features have 64 channels where there are fewer classes, and
    the area term then reads LeakyReLU of the auxiliary maps; it is dropped for three classes or fewer, where every
    class is spared. The trainer of stage classify was not released: equal weights and SGD with a cosine, as the
    evaluator's. One class alone is judged by a sigmoid.
    """

    stages: ClassVar[tuple[str, ...]] = ("evaluator", "classify", "localize")
    default_epochs: ClassVar[dict[str, int]] = {"evaluator": 12, "classify": 12, "localize": 8}  # paper: 200, 70, 30
    strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 16, 32)
    augmentation: ClassVar[Augmentation] = Augmentation(jitter=0)
    options_class: ClassVar[type[MethodOptions]] = OrNetOptions
    options: OrNetOptions

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        multi_label: bool,
        pretrained: bool,
        options: OrNetOptions | None = None,
    ) -> None:
        super().__init__(num_classes, multi_label, pretrained, options)
        top = backbone.channels[3]
        self.evaluator: PooledClassifier | Vgg16Evaluator
        if self.options.evaluator == "vgg16":
            self.evaluator = Vgg16Evaluator(num_classes)
        else:
            self.evaluator = PooledClassifier(nn.Sequential(*copy.deepcopy(backbone.stages)), top, num_classes)
        self.stem, rest, channels = backbone.split_at_stem()
        if self.options.stem == "stage":
            first, *others = backbone.stages
            self.stem, rest, channels = nn.Sequential(*first.children()), nn.Sequential(*others), backbone.channels[0]
        if self.options.fresh_top:
            _begin_anew(backbone.stages[3])
        self.rest = PooledClassifier(rest, top, num_classes)
        self.generator = UNetGenerator(channels, num_classes, min(BASE, 2 * channels))
        self._stage = "classify"

    @property
    def further_networks(self) -> tuple[str, ...]:
        """VGG16, where it is the evaluator."""
        return ("vgg16",) if isinstance(self.evaluator, Vgg16Evaluator) else ()

    def load_further_network(self, name: str, state: Mapping[str, Tensor]) -> None:
        """VGG16's weights, for the evaluator."""
        if isinstance(self.evaluator, Vgg16Evaluator):
            self.evaluator.load_imagenet(state)

    def begin_stage(self, stage: str) -> None:
        """Each stage frees its own network; "localize" the last two steps of the U-Net and the map head alone."""
        self._stage = stage
        self.requires_grad_(False)
        for part in self._learning(stage):
            part.requires_grad_(True)

    def _learning(self, stage: str) -> tuple[nn.Module, ...]:
        if stage == "evaluator":
            return (self.evaluator,)
        if stage == "classify":
            return self.stem, self.rest, self.generator
        return self.generator.u2, self.generator.u3, self.generator.map_head

    def train(self, mode: bool = True) -> OrNet:
        """As nn.Module's, but what is frozen and what was pretrained may keep its BatchNorm statistics.

        Dropout of the evaluator is active in stage "localize" too, as released.
        """
        super().train(mode)
        if self.options.batchnorm == "batch":
            return self
        refines = self._stage == "localize"
        frozen: list[nn.Module] = [self.stem, self.rest, self.generator] if refines else []
        if self.pretrained:
            frozen += [self.stem, self.rest.stages]
        if isinstance(self.evaluator, PooledClassifier) and (self.pretrained or refines):
            frozen += [self.evaluator] if refines else [self.evaluator.stages]
        for part in frozen:
            part.eval()
        for part in self._learning(self._stage) if refines else ():
            part.train(mode)
        return self

    def optimizer(self, stage: str) -> str:
        """SGD without Nesterov, and Adam for the refinement, as released."""
        return "adam" if stage == "localize" else "momentum"

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """The release's rates; by default what is new moves ten times faster, but for the evaluator VGG16."""
        slow = self.options.lr or (1e-3 if self.pretrained else 1e-2)
        fast = self.options.new_lr or 1e-2
        if stage == "localize":
            return [_group(self._learning(stage), REFINEMENT_LR, 0.0)]
        if stage == "classify":
            return [_group([self.stem, self.rest.stages], slow), _group([self.rest.head, self.generator], fast)]
        if isinstance(self.evaluator, Vgg16Evaluator):
            return [_group([self.evaluator], self.options.lr or 1e-3)]
        return [_group([self.evaluator.stages], slow), _group([self.evaluator.head], fast)]

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """Terms of one step; see the class."""
        if stage == "evaluator":
            return {"classification": classification_loss(self.evaluator(batch.images), batch.labels, self.multi_label)}
        return self._coarse(batch) if stage == "classify" else self._refinement(batch)

    def _coarse(self, batch: Batch) -> LossTerms:
        low = self.stem(batch.images)
        map_logits, class_maps, _ = self.generator(low)
        foreground = map_logits.float().sigmoid()
        scores = self.rest(low * foreground.to(low.dtype))
        return {
            "classification": classification_loss(scores, batch.labels, self.multi_label),
            "auxiliary": classification_loss(class_maps.float().mean((2, 3)), batch.labels, self.multi_label),
            "regions": region_loss(foreground[:, 0], batch.region, batch.region_kind),
        }

    def _refinement(self, batch: Batch) -> LossTerms:
        with torch.no_grad():
            low = self.stem(batch.images)
        map_logits, _, activated = self.generator(low)
        foreground = map_logits.float().sigmoid()[:, 0]
        kept = erase(foreground, self.options.erasing, self.options.erasing_share)
        kept = F.interpolate(kept[:, None], size=batch.images.shape[2:], mode="nearest")
        logits = self.evaluator(batch.images * kept).float()
        return {
            "evaluation": classification_loss(logits, batch.labels, self.multi_label),
            "area": AREA * (area_loss(foreground) + confusable_area_loss(activated, logits.softmax(1))),
            "entropy": ENTROPY * weighted_entropy(foreground),
            "regions": region_loss(foreground, batch.region, batch.region_kind),
        }

    def forward(self, images: Tensor) -> Prediction:
        """The evaluator's logits (B, C) and one map (B, 1, S/4, S/4)."""
        map_logits, _, _ = self.generator(self.stem(images))
        return Prediction(self.evaluator(images).float(), map_logits.float().sigmoid())


def _group(parts: Iterable[nn.Module], lr: float, weight_decay: float = WEIGHT_DECAY) -> dict[str, Any]:
    return {"params": [p for part in parts for p in part.parameters()], "lr": lr, "weight_decay": weight_decay}


def _begin_anew(stage: nn.Module) -> None:
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
