"""The one interface that training and prediction know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.data.transforms import Augmentation

LossTerms = dict[str, Tensor]  # name -> weighted scalar; the trainer minimises their sum and logs each


@dataclass(frozen=True, slots=True)
class Prediction:
    """logits: (B, C). maps: (B, C, h, w) in [0, 1], or (B, 1, h, w) where one map serves every class."""

    logits: Tensor
    maps: Tensor

    def maps_of(self, labels: Tensor) -> Tensor:
        """(B, h, w) maps of the class `labels[i]` (B,) of each image."""
        index = labels if self.maps.shape[1] > 1 else torch.zeros_like(labels)
        return self.maps[torch.arange(len(self.maps), device=self.maps.device), index]


class WsolMethod(nn.Module, ABC):
    """A localizer that learns from image-level labels.

    Subclasses name their `stages` in order; "classify" comes before "localize" where both exist. Class scores of
    several classes at once are independent (sigmoid) when `multi_label`, else they compete (softmax).
    """

    stages: ClassVar[tuple[str, ...]]
    default_epochs: ClassVar[dict[str, int]]  # per stage, sensible for tens to thousands of images
    strides: ClassVar[tuple[int, int, int, int]]  # of the backbone's four stages
    centred: ClassVar[bool] = False  # True: the backbone's cells lie where they are drawn, as in `OddPixels`
    augmentation: ClassVar[Augmentation] = Augmentation()  # how its training images are varied
    refine_edges: ClassVar[bool] = False  # True: maps are refined at the image's edges, as in `refinement`
    wants_backgrounds: ClassVar[bool] = False  # True: the loader adds background images to every batch

    def __init__(self, num_classes: int, multi_label: bool, pretrained: bool = False) -> None:
        """Args: pretrained: whether the features began as ImageNet's."""
        super().__init__()
        self.num_classes = num_classes
        self.multi_label = multi_label
        self.pretrained = pretrained

    def begin_warm(self, knows_classes: bool) -> None:
        """Called before the first stage, on resume too, where the training began with a finished model's weights.

        `knows_classes` says that the model had learned every class.
        """

    @abstractmethod
    def begin_stage(self, stage: str) -> None:
        """Freeze, unfreeze and copy what `stage` needs; called once before its first step.

        On resume it is called too, and the checkpoint's weights are loaded over the result.
        """

    @abstractmethod
    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """Optimiser groups: {"params": [...], "lr": float, "weight_decay": float}; lr is where the schedule starts."""

    def optimizer(self, stage: str) -> str:
        """ "sgd" (Nesterov momentum 0.9) or "adam": the optimiser that `stage` is trained with."""
        return "sgd"

    def most_steps(self, stage: str, steps_per_epoch: int) -> int | None:
        """From how many steps on `stage` makes nothing better, however long the training; None without a limit.

        What is left of the time goes to the stages after it; the last stage has no limit.
        """
        return None

    @abstractmethod
    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """Loss terms of one step; `progress` in [0, 1) is how far the stage has come (for ramps)."""

    @abstractmethod
    def forward(self, images: Tensor) -> Prediction:
        """Class logits and activation maps of (B, 3, S, S) images, in one pass; used under no_grad."""

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of class logits (B, C, ...). One class alone would always have probability 1 among the classes."""
        return logits.sigmoid() if self.multi_label or self.num_classes == 1 else logits.softmax(1)

    def class_scores(self, images: Tensor) -> Tensor:
        """(B, C) logits."""
        prediction: Prediction = self(images)
        return prediction.logits

    def activation_maps(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B, h, w) maps in [0, 1] of the class `labels[i]` (B,) of each image."""
        prediction: Prediction = self(images)
        return prediction.maps_of(labels)
