"""The method that a training begins with: fresh, on pretrained features, or with a finished model's weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from wsol_core.config import TrainConfig
from wsol_core.data.loader import plain_images
from wsol_core.methods.base import WsolMethod
from wsol_core.methods.build import build_method, method_options
from wsol_core.networks.alignment import offsets
from wsol_core.networks.backbones import Backbone
from wsol_core.networks.pretrained import own_state, pretrained_state
from wsol_core.training.enough_steps import LEAST_SHARE
from wsol_core.training.model_selection import evaluating
from wsol_core.training.schedule import WARM_SHARE
from wsol_core.training.step import seeded
from wsol_core.training.training_data import TrainingData, of_every_class
from wsol_core.training.warm_start import read_warm_start

logger = logging.getLogger(__name__)

ALIGNED_IMAGES = 16  # tell where features lie
LEAST_OFFSET = 0.1  # of a cell; moving by less would blur more than it mends
FRESH_WEIGHTS = -1  # what these random numbers are for; stages count from 0


@dataclass(frozen=True, slots=True)
class Initialization:
    """What a training began with; the names are those of a checkpoint's entries.

    pretrained: its features began as ImageNet's, also where a finished model came between. warm_start: it began with
    a finished model's weights. knows_classes: that model had learned all its classes. was_short: its training was too
    short to be relied on, so that this one is not shortened by what it has learned. was_brief: it was a first look, of
    which this one is the rest.
    """

    pretrained: bool = False
    warm_start: bool = False
    knows_classes: bool = False
    was_short: bool = False
    was_brief: bool = False

    @property
    def share(self) -> float:
        """How much of the usual length the training takes."""
        if not self.warm_start or self.was_short:
            return 1.0
        return 1 - LEAST_SHARE if self.was_brief else WARM_SHARE

    @classmethod
    def of_checkpoint(cls, checkpoint: Mapping[str, Any]) -> Initialization:
        """What the interrupted training began with."""
        names = [part.name for part in fields(cls)]
        return cls(**{name: bool(checkpoint.get(name)) for name in names})


def initial_method(
    config: TrainConfig,
    data: TrainingData,
    weights_dir: Path | None,
    warm_start: Path | None,
    device: torch.device,
    weights: Path | None = None,
) -> tuple[WsolMethod, Initialization]:
    """The method before its first step: with the weights of the model in `warm_start`, else on pretrained features.

    Args: weights: a file of features to begin with instead of ImageNet's.
    """
    model = None if warm_start is None else read_warm_start(warm_start, config)
    if model is not None:
        knows = model.knows(data.classes)
        initialization = Initialization(model.pretrained, True, knows, model.was_short, model.was_brief)
        method = _build(config, data, initialization, device)
        model.load_into(method, config, data.classes)
    else:
        version = method_options(config.method, config.options).weights
        if weights is not None:
            state: dict[str, Tensor] | None = own_state(weights)
        else:
            state = pretrained_state(config.backbone, weights_dir, True, version) if config.pretrained else None
        initialization = Initialization(pretrained=state is not None)
        method = _build(config, data, initialization, device, state)
        if state is not None:
            _load_further_networks(method, weights_dir, version)
    method = _placed(method, device)
    if method.centred and initialization.pretrained:
        _align(method, config, data, device)
    return method, initialization


def resumed_method(
    config: TrainConfig, data: TrainingData, checkpoint: Mapping[str, Any], device: torch.device
) -> tuple[WsolMethod, Initialization]:
    """The method of an interrupted training; its weights are loaded once its stage has begun."""
    initialization = Initialization.of_checkpoint(checkpoint)
    return _placed(_build(config, data, initialization, device), device), initialization


def _build(
    config: TrainConfig,
    data: TrainingData,
    initialization: Initialization,
    device: torch.device,
    state: Mapping[str, Tensor] | None = None,
) -> WsolMethod:
    with seeded(device, config.seed, FRESH_WEIGHTS):
        method = build_method(
            config.method,
            config.backbone,
            len(data.classes),
            data.multi_label,
            state,
            pretrained=initialization.pretrained,
            options=config.options,
        )
    if initialization.warm_start:
        method.begin_warm(initialization.knows_classes)
    return method


def _load_further_networks(method: WsolMethod, weights_dir: Path | None, version: str) -> None:
    for name in method.further_networks:
        if (state := pretrained_state(name, weights_dir, True, version)) is not None:
            method.load_further_network(name, state)


def _align(method: WsolMethod, config: TrainConfig, data: TrainingData, device: torch.device) -> None:
    """Moves the features to where they are drawn, as far as some images of the project tell."""
    backbone = cast(Backbone, method.get_submodule("backbone"))
    backbone.align([0.0] * 4)
    samples = of_every_class(data.train, data.classes, ALIGNED_IMAGES)
    images = plain_images(samples, config.side_px)[1].to(device, memory_format=torch.channels_last)
    if not len(images):
        return
    with evaluating(method):
        moves = [-cells if abs(cells) >= LEAST_OFFSET else 0.0 for cells in offsets(backbone, images)]
    backbone.align(moves)
    logger.info("The features of the four stages are moved by %s of their cells, to where they are drawn.", moves)


def _placed(method: WsolMethod, device: torch.device) -> WsolMethod:
    return method.to(device).to(memory_format=torch.channels_last)
