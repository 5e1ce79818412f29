"""BAS: background activation suppression with foreground guidance and an area constraint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.data.transforms import Augmentation
from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
from wsol_core.methods.losses import (
    area_loss,
    background_activation_loss,
    classification_loss,
    drawn_class_loss,
    region_loss,
)
from wsol_core.networks.backbones import Backbone
from wsol_core.networks.frozen_call import frozen_call
from wsol_core.options import MethodOptions, PublishedOptions, bounded
from wsol_core.records import NO_REGION
from wsol_core.registry import register_method

HEAD_WIDTH = 1024
# (alpha, beta, constant) by backbone, those of the extension for CUB; of the segmentation variant for several labels.
BY_BACKBONE = {"vgg16": (0.0, 0.9, 0.0), "mobilenet_v1": (0.5, 1.9, 1.0), "inception_v3": (0.5, 1.0, 1.0)}
RESNET50, SEVERAL_LABELS = (0.5, 1.5, 1.0), (0.2, 1.2, 1.0)


@dataclass(frozen=True, kw_only=True)
class BasOptions(PublishedOptions):
    """Options of BAS.

    Attributes:
        alpha, beta: weights of the guidance and of the area; None: those published for the backbone on CUB, and those
            of ResNet-50 for a backbone that was not published. (.2, 1.2) where images have several labels.
        constant: the suppression term's value where the background scores above the whole image; None: 0 for vgg16,
            1 otherwise. (The conference version has 0 for all.)
        fused: how many of the most probable classes' maps are averaged into one for prediction; 1 takes the asked
            class's own, and more than there are classes is all. Published for CUB: 80 for VGG16 and MobileNetV1, 200
            for ResNet-50 and InceptionV3; for ILSVRC and OpenImages: 1.
        head_width: channels of the class head; None: 1024, and for tiny no more than its features have.
        max_pool: whether a ResNet's last stage halves by a pooling layer before it, as published.
        final_relu: whether class maps are cut at 0, as in the conference version.
    """

    alpha: float | None = bounded(None, least=0)
    beta: float | None = bounded(None, least=0)
    constant: float | None = bounded(None, least=0, most=1)
    fused: int = bounded(1, least=1)
    head_width: int | None = bounded(None, least=1)
    max_pool: bool = True
    final_relu: bool = False


class _ClassMaps(nn.Module):
    """f2 of the paper: the last backbone stage and the class head; features at stride 8 to class maps at stride 16."""

    def __init__(self, stage: nn.Module, channels: int, width: int, num_classes: int, final_relu: bool) -> None:
        super().__init__()
        self.stage = stage
        self.head = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, num_classes, 1),
            *([nn.ReLU()] if final_relu else []),
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

    Where images have several labels, one is drawn at random: the extension's segmentation variant. L_cls is a sigmoid
    per class; L_frg has the drawn class compete with the classes that the image does not have, and Z gets no gradient
    from it.

    Deviations by default, for small projects: pretrained BatchNorm layers keep their statistics, warm-up and a cosine
    in place of the step, gradients are clipped, and fresh features learn ten times faster. Options turn each off, and
    the recipes do.
    """

    stages: ClassVar[tuple[str, ...]] = ("localize",)
    default_epochs: ClassVar[dict[str, int]] = {"localize": 20}
    strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 8, 16)
    augmentation: ClassVar[Augmentation] = Augmentation(jitter=0)
    options_class: ClassVar[type[MethodOptions]] = BasOptions
    options: BasOptions

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        multi_label: bool,
        pretrained: bool,
        options: BasOptions | None = None,
    ) -> None:
        super().__init__(num_classes, multi_label, pretrained, options)
        name, options = backbone.name, self.options
        alpha, beta, constant = SEVERAL_LABELS if multi_label else BY_BACKBONE.get(name, RESNET50)
        self.alpha = alpha if options.alpha is None else options.alpha
        self.beta = beta if options.beta is None else options.beta
        self.constant = constant if options.constant is None else options.constant
        self.fused = min(options.fused, num_classes)
        self.features = nn.Sequential(*backbone.stages[:3])
        top = backbone.channels[3]
        width = options.head_width or (min(HEAD_WIDTH, top) if name == "tiny" else HEAD_WIDTH)
        self.class_maps = _ClassMaps(backbone.stages[3], top, width, num_classes, options.final_relu)
        self.generator = nn.Conv2d(backbone.channels[2], num_classes, 3, padding=1)
        for module in [*self.class_maps.head, self.generator]:
            if isinstance(module, nn.Conv2d):
                _initialize(module, name)

    def begin_stage(self, stage: str) -> None:
        """Everything learns."""
        self.requires_grad_(True)

    def train(self, mode: bool = True) -> Bas:
        """As nn.Module's, but pretrained features may keep their BatchNorm statistics."""
        super().train(mode)
        if self.pretrained and self.options.batchnorm == "frozen":
            self.features.eval()
            self.class_maps.stage.eval()
        return self

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """The paper's: biases twice as fast, class head and generator ten times."""
        slow = self.options.lr or (1e-3 if self.pretrained else 1e-2)
        groups = []
        for modules, lr in (
            ((self.features, self.class_maps.stage), slow),
            ((self.class_maps.head, self.generator), self.options.new_lr or 1e-2),
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
        background_score = self._background_scores(features, foreground)[everyone, batch.target][weak]
        full_score = scores[everyone, batch.target][weak]
        return {
            "classification": classification_loss(scores, batch.labels, self.multi_label),
            "guidance": self.alpha * self._guidance(class_maps, foreground, batch),
            "suppression": background_activation_loss(background_score, full_score, self.constant),
            "area": self.beta * area_loss(foreground[weak]),
            "regions": region_loss(foreground, batch.region, batch.region_kind),
        }

    def _guidance(self, class_maps: Tensor, foreground: Tensor, batch: Batch) -> Tensor:
        pooled = F.avg_pool2d(foreground[:, None], 2)
        if self.multi_label and self.num_classes > 1:
            seen = (class_maps.detach() * pooled).mean((2, 3))
            return drawn_class_loss(seen, batch.labels, batch.target)
        return classification_loss((class_maps * pooled).mean((2, 3)), batch.labels, self.multi_label)

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


def _initialize(layer: nn.Conv2d, backbone: str) -> None:
    """As released: N(0, 0.02) and PyTorch's biases for VGG16, Xavier and 0 for the others."""
    if backbone == "vgg16":
        nn.init.normal_(layer.weight, 0, 0.02)
        return
    nn.init.xavier_uniform_(layer.weight)
    nn.init.constant_(layer.bias, 0)  # type: ignore[arg-type]
