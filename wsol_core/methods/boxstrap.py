"""Boxstrap's own method, the default: suppression under an area constraint, self-training on graph cuts, instances."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.data.transforms import Augmentation
from wsol_core.methods.area_multiplier import AreaConstraint
from wsol_core.methods.base import LossTerms, ObjectMaps, Prediction, WsolMethod
from wsol_core.methods.class_evidence import class_evidence, share_of_target
from wsol_core.methods.co_localization import CoLocalizer
from wsol_core.methods.losses import (
    background_activation_loss,
    background_emptiness_loss,
    classification_loss,
    pairwise_loss,
    region_loss,
    weighted_entropy,
)
from wsol_core.methods.melted_parts import share_left_out
from wsol_core.methods.mosaics import middle_loss
from wsol_core.methods.self_training import self_training_terms
from wsol_core.methods.separation import separation_terms
from wsol_core.networks.backbones import Backbone
from wsol_core.networks.feature_pyramid import CoarseGenerator, FineGenerator, resized, resized_like
from wsol_core.networks.frozen_call import frozen_call
from wsol_core.networks.instance_head import InstanceHead
from wsol_core.networks.scorer import Scorer
from wsol_core.records import NO_REGION
from wsol_core.registry import register_method

# docs/methods.md says where each number is from or what changing it did; `python -m benchmarks.ablation` measures it.
FRESH_LR, PRETRAINED_LR = 2e-2, 2e-3  # of the backbone, by where its features began
CLASSIFY_LR, LOCALIZE_LR = 1e-2, 2e-2  # of what is new: head and coarse generator, then the fine generator
SEPARATE_LR = 3e-3  # of the instance head, which Adam trains
WEIGHT_DECAY = 5e-4
HEAD_STD = 0.01  # of the classifier's fresh weights
CLASSIFIER_ALONE = 0.25  # of stage "classify": the suppression term means nothing before the scores do
# Least steps of each stage where nobody says how long, for up to MANY_CLASSES classes, by where features began.
ENOUGH_STEPS = {"classify": 150, "localize": 250, "separate": 150}  # pretrained
FRESH_ENOUGH_STEPS = {"classify": 400, "localize": 300, "separate": 200}
SEVERAL_CLASSES = 2  # times the steps of "classify" of pretrained features where images have several classes
MANY_CLASSES = 10  # more of them need more steps, as the square root of their number
GUIDANCE, ENTROPY, EMPTINESS = 0.5, 0.5, 0.5  # weights of loss terms
MOSAIC_EVERY = 4  # images
HINT_UNTIL = 0.5  # of stage "classify": when the hint has faded for pretrained features, which soon know better
MIDDLE_BALANCE = 3.0  # of cells from the middle: an even match of 4 cells and 12
SMOOTHNESS = 0.3  # without it long trainings hollow objects out: inside, nothing more is to be hidden


@register_method("boxstrap")
class Boxstrap(WsolMethod):
    """Three stages, from what measured best of BAS, ORNet, WSL-BG, self-training and composites.

    classify: a classifier (alone for the first quarter, unless it knew all classes before), and a coarse generator at
        stride 8 whose one class-agnostic map M is trained by BAS's background suppression, here on the stem's features
        (stride 4), whose small receptive field keeps a halo around the object from mattering; by foreground guidance,
        ORNet's weighted entropy, BoxInst's pairwise term over the whole image, and `AreaConstraint` in place of BAS's
        area loss. Being shared by all classes, the map cannot make a class's typical surroundings its foreground where
        other classes show the same surroundings empty. Objects are seen in the middle more often than at the border:
        of pretrained features a `CoLocalizer` makes a hint of that, of fresh ones mosaics of shuffled images do. It
        is all that one class without background images has.
    localize: only a fine generator at stride 4 learns, from pseudo masks: GrabCut of the coarse map at first, more and
        more of its own map mixed in later. Corrected regions replace the pseudo masks where people drew them.
    separate: only an instance head learns, from corrected objects, lone parts of maps, and composites of both.

    A map that all classes share finds every object, so coarse maps as teachers, and fine ones of pretrained features at
    last, are dimmed where the class's activation map is far below its peak.

    Pretrained features keep their BatchNorm statistics, and the stem stays as it is: small projects would spoil both.
    """

    stages: ClassVar[tuple[str, ...]] = ("classify", "localize", "separate")
    default_epochs: ClassVar[dict[str, int]] = {"classify": 8, "localize": 10, "separate": 5}
    strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 16, 16)
    centred: ClassVar[bool] = True
    augmentation: ClassVar[Augmentation] = Augmentation(zoom=(0.875, 1.15))  # whole images too: those are predicted
    refine_edges: ClassVar[bool] = True
    maps_compete: ClassVar[bool] = True
    finds_objects: ClassVar[bool] = True

    def __init__(self, backbone: Backbone, num_classes: int, multi_label: bool, pretrained: bool) -> None:
        super().__init__(num_classes, multi_label, pretrained)
        self.backbone = backbone
        self.head = nn.Conv2d(backbone.channels[3], num_classes, 1)
        nn.init.normal_(self.head.weight, std=HEAD_STD)
        self.coarse = CoarseGenerator(backbone.channels)
        self.fine = FineGenerator(backbone.channels, num_classes)
        self.instances = InstanceHead(backbone.channels, num_classes)
        self.area = AreaConstraint(num_classes)
        self.co_localizer: CoLocalizer | None = None
        self._classifier_alone = CLASSIFIER_ALONE
        self.scorer = Scorer(backbone, self.head)
        self.register_buffer("localizes", torch.tensor(False))
        self.register_buffer("separates", torch.tensor(False))
        self.register_buffer("least_centre", torch.tensor(0.0))
        self.register_buffer("doubts", torch.zeros(2))
        self.register_buffer("dims", torch.tensor(pretrained and num_classes > 1))

    localizes: Tensor
    separates: Tensor
    least_centre: Tensor  # probability from which a place is an object's centre, chosen after the training
    doubts: Tensor  # parts of maps that the instance head doubts, and all that it has judged; see melted_parts.py
    dims: Tensor  # whether predicted maps are dimmed; with fresh features only the teacher's are

    def begin_warm(self, knows_classes: bool) -> None:
        """A classifier that has learned all its classes does not train alone at first."""
        self._classifier_alone = 0.0 if knows_classes else CLASSIFIER_ALONE

    def begin_stage(self, stage: str) -> None:
        """Later stages freeze all but what they train, so that their teachers stand still."""
        classify = stage == "classify"
        self.localizes.fill_(not classify)
        self.separates.fill_(stage == "separate")
        self.least_centre.fill_(0)
        self.doubts.zero_()
        for part in (self.backbone, self.head, self.coarse):
            part.requires_grad_(classify)
        self.fine.requires_grad_(stage == "localize")
        self.instances.requires_grad_(stage == "separate")
        self.co_localizer = CoLocalizer(self.backbone) if classify and self.pretrained else None
        if self.pretrained:
            self.backbone.stages[: self.backbone.kept].requires_grad_(False)

    def train(self, mode: bool = True) -> Boxstrap:
        """As nn.Module's, but what is frozen and what was pretrained keeps its BatchNorm statistics."""
        super().train(mode)
        if self.pretrained or self.localizes:
            self.backbone.eval()
        self.coarse.train(mode and not self.localizes)
        self.fine.train(mode and not self.separates)
        return self

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """Pretrained features move five times slower than what is new."""
        if stage == "separate":
            return [{"params": list(self.instances.parameters()), "lr": SEPARATE_LR, "weight_decay": 0.0}]
        if stage == "localize":
            return [{"params": list(self.fine.parameters()), "lr": LOCALIZE_LR, "weight_decay": WEIGHT_DECAY}]
        features = [p for p in self.backbone.parameters() if p.requires_grad]
        new = [*self.head.parameters(), *self.coarse.parameters()]
        return [
            {"params": features, "lr": PRETRAINED_LR if self.pretrained else FRESH_LR, "weight_decay": WEIGHT_DECAY},
            {"params": new, "lr": CLASSIFY_LR, "weight_decay": WEIGHT_DECAY},
        ]

    def judged_stage(self) -> str:
        """The one after which maps stay as they are."""
        return "localize"

    def default_steps(self, stage: str, images: int, classes: int, batch_size: int) -> int:
        """Features that begin as noise need more steps than pretrained ones, and many classes more than few."""
        enough = (ENOUGH_STEPS if self.pretrained else FRESH_ENOUGH_STEPS)[stage]
        enough = round(enough * math.sqrt(max(1, classes / MANY_CLASSES)))
        if self.pretrained and self.multi_label and stage == "classify":
            enough *= SEVERAL_CLASSES
        return max(enough, self.default_epochs[stage] * max(1, round(images / batch_size)))

    def optimizer(self, stage: str) -> str:
        """Adam for the head of stage "separate", whose outputs differ in scale."""
        return "adam" if stage == "separate" else "sgd"

    def most_steps(self, stage: str, steps_per_epoch: int) -> int | None:
        """Pretrained features soon overfit a small project; the map of a boat then covers the water around it, too."""
        if stage != "classify" or not self.pretrained:
            return None
        enough = ENOUGH_STEPS[stage] * (SEVERAL_CLASSES if self.multi_label else 1)
        return max(enough, self.default_epochs[stage] * steps_per_epoch)

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """Terms of one step; see the class."""
        if stage == "separate":
            return self._separation(batch, progress)
        if stage == "localize":
            return self._self_training(batch, progress)
        features = self.backbone(batch.images)
        class_maps = self.head(features[3]).float()
        terms = {"classification": self._classification(batch, class_maps.mean((2, 3)))}
        alone = self.num_classes == 1 and batch.backgrounds is None  # its score tells nothing: nothing is suppressed
        suppresses = not alone and progress >= self._classifier_alone
        if self.co_localizer is None:
            images = batch.images if alone else batch.images[::MOSAIC_EVERY]
            terms["middle"] = middle_loss(images, lambda mosaics: self.coarse(self.backbone(mosaics)), MIDDLE_BALANCE)
            if not (alone or suppresses):
                return terms
        foreground = self.coarse(features).float().sigmoid()[:, 0]
        share = 1.0 if alone else max(0.0, 1 - progress / HINT_UNTIL)
        if self.co_localizer is not None and share:
            terms["common"] = share * self.co_localizer.loss(batch, foreground)
        if alone:
            terms["regions"] = region_loss(foreground, batch.region, batch.region_kind, batch.boxed_targets())
        if suppresses:
            terms |= self._suppression(batch, features, class_maps, foreground)
        return terms

    @property
    def neighbours_melt(self) -> bool:
        """Whether stage "separate" has seen that many parts of maps are several objects."""
        return share_left_out(*self.doubts.tolist()) > 0

    def choose_objects(self, least_centre: float | None) -> None:
        """From now on objects are those whose centre is at least so probable; None: parts of maps."""
        self.separates.fill_(least_centre is not None)
        self.least_centre.fill_(least_centre or 0.0)

    def forward(self, images: Tensor) -> Prediction:
        """Class logits, and the fine maps (B, C, S/4, S/4); the coarse map (B, 1, S/8, S/8) in stage "classify"."""
        features = self.backbone(images)
        class_maps = self.head(features[3]).float()
        logits = class_maps.mean((2, 3))
        if not self.localizes:
            return Prediction(logits, self.coarse(features).float().sigmoid())
        maps = self._fine_maps(features, class_maps)
        if not self.separates:
            return Prediction(logits, maps)
        centres, boxes = self.instances(features)
        return Prediction(logits, maps, ObjectMaps(centres.sigmoid(), boxes, float(self.least_centre)))

    def _fine_maps(self, features: list[Tensor], class_maps: Tensor) -> Tensor:
        maps: Tensor = self.fine(features).float().sigmoid()
        return maps * resized_like(self._evidence(class_maps), maps) if self.dims else maps

    def _classification(self, batch: Batch, logits: Tensor) -> Tensor:
        loss = classification_loss(logits, batch.labels, self.multi_label)
        if self.num_classes > 1 or batch.backgrounds is None:
            return loss
        # One class has no other to be told from, so it is told from images without the object.
        none = self.head(self.backbone(batch.backgrounds)[3]).float().mean((2, 3))
        return loss + classification_loss(none, torch.zeros_like(none), self.multi_label)

    def _suppression(self, batch: Batch, features: list[Tensor], class_maps: Tensor, foreground: Tensor) -> LossTerms:
        low = features[0].detach()
        everyone = torch.arange(len(low), device=low.device)
        weak = batch.region_kind == NO_REGION
        hidden = low * (1 - resized(foreground, low.shape[2:])[:, None])
        background_score = frozen_call(self.scorer, hidden)[everyone, batch.target]
        full_score = class_maps.mean((2, 3))[everyone, batch.target]
        guided = (class_maps * resized(foreground, class_maps.shape[2:])[:, None]).mean((2, 3))
        terms = {
            "suppression": background_activation_loss(background_score[weak], full_score[weak]),
            "guidance": GUIDANCE * classification_loss(guided, batch.labels, self.multi_label),
            "area": self.area(foreground[weak], batch.target[weak]),
            "entropy": ENTROPY * weighted_entropy(foreground),
            "pairs": SMOOTHNESS * pairwise_loss(foreground, batch.images, torch.ones_like(batch.region)),
            "regions": region_loss(foreground, batch.region, batch.region_kind, batch.boxed_targets()),
        }
        if batch.backgrounds is not None:
            empty = self.coarse(self.backbone(batch.backgrounds)).float().sigmoid()
            terms["empty"] = EMPTINESS * background_emptiness_loss(empty)
        return terms

    def _self_training(self, batch: Batch, progress: float) -> LossTerms:
        with torch.no_grad():
            features = self.backbone(batch.images)
            teacher = self._teacher(batch, features)
        everyone = torch.arange(len(batch.images), device=batch.target.device)
        logits = self.fine(features).float()[everyone, batch.target]
        terms = self_training_terms(batch, logits, teacher, progress)
        if batch.backgrounds is not None:
            with torch.no_grad():
                nothing = self.backbone(batch.backgrounds)
            empty = self.fine(nothing).float().sigmoid()
            terms["empty"] = EMPTINESS * background_emptiness_loss(empty)
        return terms

    def _separation(self, batch: Batch, progress: float) -> LossTerms:
        with torch.no_grad():
            features = self.backbone(batch.images)
            maps = self._fine_maps(features, self.head(features[3]).float())
        return separation_terms(batch, maps, features, self.backbone, self.instances, self.doubts, progress)

    def _teacher(self, batch: Batch, features: list[Tensor]) -> Tensor:
        """Coarse maps (B, h, w) of the target class: the agnostic map, dimmed, and divided up among several classes."""
        agnostic: Tensor = self.coarse(features).float().sigmoid()[:, 0]
        class_maps = self.head(features[3]).float()
        everyone = torch.arange(len(class_maps), device=class_maps.device)
        evidence = self._evidence(class_maps)[everyone, batch.target]
        share = share_of_target(class_maps, batch.labels, batch.target)
        return agnostic * resized(share * evidence, agnostic.shape[1:])

    def _evidence(self, class_maps: Tensor) -> Tensor:
        if self.num_classes == 1:
            return torch.ones_like(class_maps)  # the score of one class alone carries no information
        return class_evidence(class_maps, self.probabilities(class_maps.mean((2, 3), keepdim=True)))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # Older models and checkpoints have no doubts, those of version 0.1 no instance head: as if never trained.
        state_dict.setdefault(f"{prefix}doubts", torch.zeros(2))
        if self.co_localizer is not None:
            self.co_localizer.complete(state_dict, prefix)
        if f"{prefix}separates" not in state_dict:
            flags = {"separates": torch.tensor(False), "least_centre": torch.tensor(0.0)}
            missing = {**flags, **self.instances.state_dict(prefix="instances.")}
            state_dict.update({prefix + name: value for name, value in missing.items()})
        super()._load_from_state_dict(state_dict, prefix, *args)
