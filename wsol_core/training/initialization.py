"""The method that a training begins with: fresh, on pretrained features, or with a finished model's weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsol_core.config import TrainConfig
from wsol_core.methods.base import WsolMethod
from wsol_core.methods.build import build_method
from wsol_core.networks.pretrained import pretrained_state
from wsol_core.training.step import seeded
from wsol_core.training.training_data import TrainingData
from wsol_core.training.warm_start import read_warm_start

FRESH_WEIGHTS = -1  # what these random numbers are for; stages count from 0


@dataclass(frozen=True, slots=True)
class Initialization:
    """What a training began with; the names are those of a checkpoint's entries.

    pretrained: its features began as ImageNet's, also where a finished model came between. warm_start: it began with
    a finished model's weights. knows_classes: that model had learned all its classes.
    """

    pretrained: bool = False
    warm_start: bool = False
    knows_classes: bool = False

    @classmethod
    def of_checkpoint(cls, checkpoint: Mapping[str, Any]) -> Initialization:
        """What the interrupted training began with."""
        names = ("pretrained", "warm_start", "knows_classes")
        return cls(**{name: bool(checkpoint.get(name)) for name in names})


def initial_method(
    config: TrainConfig, data: TrainingData, weights_dir: Path | None, warm_start: Path | None, device: torch.device
) -> tuple[WsolMethod, Initialization]:
    """The method before its first step: with the weights of the model in `warm_start`, else on pretrained features."""
    model = None if warm_start is None else read_warm_start(warm_start, config)
    if model is not None:
        initialization = Initialization(model.pretrained, warm_start=True, knows_classes=model.knows(data.classes))
        method = _build(config, data, initialization, device)
        model.load_into(method, config, data.classes)
    else:
        state = pretrained_state(config.backbone, weights_dir, allow_download=True) if config.pretrained else None
        initialization = Initialization(pretrained=state is not None)
        method = _build(config, data, initialization, device, state)
    return _placed(method, device), initialization


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
        )
    if initialization.warm_start:
        method.begin_warm(initialization.knows_classes)
    return method


def _placed(method: WsolMethod, device: torch.device) -> WsolMethod:
    return method.to(device).to(memory_format=torch.channels_last)
