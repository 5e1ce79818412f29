"""The interface through which training and prediction use every method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.data.transforms import Augmentation
from wsol_core.options import MethodOptions

ENOUGH_STEPS = 200  # of a stage, where its default epochs are fewer; not measured

LossTerms = dict[str, Tensor]
"""Name -> weighted scalar. The training minimises their sum and logs each by its name."""


@dataclass(frozen=True, slots=True)
class ObjectMaps:
    """Where a method sees single objects in a batch of B images.

    Args:
        centres: (B, C, h, w) in [0, 1], how sure a place is an object's centre.
        boxes: (B, 4, h, w) xyxy in shares of the image, the box of the object that a place belongs to.
        least_centre: the probability from which a place is a centre for sure.
    """

    centres: Tensor
    boxes: Tensor
    least_centre: float = 0.0

    def mirrored(self) -> ObjectMaps:
        """What they are in the mirrored images."""
        x0, y0, x1, y1 = self.boxes.flip(3).unbind(1)
        boxes = torch.stack([1 - x1, y0, 1 - x0, y1], 1)
        return ObjectMaps(self.centres.flip(3), boxes, self.least_centre)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a method predicts for a batch of B images and C classes.

    Args:
        logits: (B, C) class scores before sigmoid or softmax, float32.
        maps: (B, C, h, w) activation maps in [0, 1], or (B, 1, h, w) where one map serves every class. They may be
            smaller than the images.
        objects: single objects, of a method that tells them apart; else regions are the connected parts of maps.

    Example:
        >>> Prediction(torch.zeros(2, 3), torch.rand(2, 1, 14, 14)).maps_of(torch.tensor([0, 2])).shape
        torch.Size([2, 14, 14])
    """

    logits: Tensor
    maps: Tensor
    objects: ObjectMaps | None = None

    def maps_of(self, labels: Tensor) -> Tensor:
        """(B, h, w) maps of the class `labels[i]` (B,) of each image."""
        index = labels if self.maps.shape[1] > 1 else torch.zeros_like(labels)
        return self.maps[torch.arange(len(self.maps), device=self.maps.device), index]


class WsolMethod(nn.Module, ABC):
    """A localizer that learns from image-level labels; the base class of every method.

    A subclass has three class attributes and implements `begin_stage`, `parameter_groups`, `training_step` and
    `forward`. `register_method` says how it becomes known by a name, examples/add_a_method.py is a whole one.

    Its constructor takes the `Backbone`, the number of classes, and the two flags below; it keeps the parts of the
    backbone that it uses as attributes, and passes the rest on to this class. Everything that prediction needs has to
    be in `state_dict()`, flags as buffers.

    Args:
        num_classes: C, 1 or more.
        multi_label: whether an image may have several classes. Their scores are then independent (sigmoid), else they
            compete (softmax).
        pretrained: whether the features began as ImageNet's. Such features learn more slowly, and their BatchNorm
            layers usually keep their statistics.
        options: of `options_class`; None is all defaults. A subclass with an options class of its own takes them as a
            fifth argument, and passes them on.

    Example:
        >>> class Mine(WsolMethod):
        ...     stages = ("classify",)
        ...     default_epochs = {"classify": 12}
        ...     strides = (4, 8, 16, 16)
        ...
        ...     def __init__(self, backbone: Backbone, num_classes: int, multi_label: bool, pretrained: bool) -> None:
        ...         super().__init__(num_classes, multi_label, pretrained)
        ...         self.backbone = backbone
        ...         self.head = nn.Conv2d(backbone.channels[3], num_classes, 1)
    """

    stages: ClassVar[tuple[str, ...]]  # in their order; "classify" comes before "localize" where both exist
    default_epochs: ClassVar[dict[str, int]]  # per stage, sensible for thousands of images; see `default_steps`
    strides: ClassVar[tuple[int, int, int, int]]  # of the backbone's four stages, see `build_backbone`
    centred: ClassVar[bool] = False  # True: features that were pretrained are moved to where they are drawn
    augmentation: ClassVar[Augmentation] = Augmentation()  # how its training images are varied
    refine_edges: ClassVar[bool] = False  # True: maps are refined at the image's edges, as in `refinement`
    maps_compete: ClassVar[bool] = False  # True: maps of an image's classes do, by `competing`
    finds_objects: ClassVar[bool] = False  # True: it predicts `ObjectMaps` once it is trained
    wants_backgrounds: ClassVar[bool] = False  # True: the loader adds background images to every batch
    options_class: ClassVar[type[MethodOptions]] = MethodOptions  # what a recipe may set, see options.py

    def __init__(
        self, num_classes: int, multi_label: bool, pretrained: bool = False, options: MethodOptions | None = None
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.multi_label = multi_label
        self.pretrained = pretrained
        self.options = options or self.options_class()

    @property
    def views(self) -> Augmentation:
        """How its training images are varied: `augmentation`, with the jitter that the options may name."""
        jitter = self.options.jitter
        return self.augmentation if jitter is None else replace(self.augmentation, jitter=jitter)

    def epochs_of(self, stage: str) -> int:
        """Of the stage, by the options or by default; 0 leaves it out."""
        chosen = dict(zip(self.stages, self.options.stage_epochs, strict=False))
        return chosen.get(stage, self.default_epochs[stage])

    @property
    def further_networks(self) -> tuple[str, ...]:
        """Networks besides the backbone that begin with ImageNet weights too, by torchvision's names."""
        return ()

    def load_further_network(self, name: str, state: Mapping[str, Tensor]) -> None:
        """Takes the ImageNet weights of one of `further_networks`, classifier included."""

    @property
    def neighbours_melt(self) -> bool:
        """Whether its training has seen that neighbours of a class often are one part of its map."""
        return False

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
        """Optimiser groups for `stage`: {"params": [...], "lr": float, "weight_decay": float}.

        They hold exactly the parameters that `begin_stage` left trainable; the schedule scales each group's `lr`.
        """

    def optimizer(self, stage: str) -> str:
        """ "sgd" (Nesterov momentum 0.9), "momentum" (the same without Nesterov's step ahead) or "adam": of `stage`."""
        return "sgd"

    def default_steps(self, stage: str, images: int, classes: int, batch_size: int) -> int:
        """How many optimiser steps `stage` takes where nobody says how long: its default epochs, more for few images.

        Few images need as many steps as more, so they get more epochs.

        Args:
            images: how many are trained on, 1 or more.
            classes: how many they have.
            batch_size: images a step, in all processes together.
        """
        return max(ENOUGH_STEPS, self.default_epochs[stage] * max(1, round(images / batch_size)))

    def judged_stage(self) -> str:
        """The stage whose epochs are scored by their maps on held-out images, and that ends with the best of them."""
        return self.stages[-1]

    def most_steps(self, stage: str, steps_per_epoch: int) -> int | None:
        """From how many steps on `stage` makes nothing better, however long the training; None without a limit.

        What is left of the time goes to the stages after it; the last stage has no limit.
        """
        return None

    @abstractmethod
    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """The loss terms of one step, float32 scalars whose sum is minimised.

        Args:
            batch: images and labels of the step, on the device; see `Batch` for the shapes.
            stage: one of `stages`.
            progress: how far the stage has come, in [0, 1), for ramps.
        """

    @abstractmethod
    def forward(self, images: Tensor) -> Prediction:
        """Class logits and activation maps of (B, 3, S, S) images, in one pass; used under no_grad.

        The images have ImageNet's mean and standard deviation removed; S is a multiple of 32 and need not be the side
        of the training.
        """

    def choose_objects(self, least_centre: float | None) -> None:
        """Called after the training of a method that predicts `ObjectMaps`, with what an exam on its images chose.

        Args: least_centre: the probability from which a place is an object's centre; None where the connected parts of
            maps find objects better, so that none are to be predicted.
        """

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
