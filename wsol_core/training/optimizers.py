"""A stage's optimiser: parameter groups, learning rates, gradient clipping. The schedule is in schedule.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from wsol_core.errors import ConfigError

MOMENTUM = 0.9
LARGEST_GRADIENT_NORM = 5.0


def build_optimizer(groups: Sequence[dict[str, Any]], name: str) -> Optimizer:
    """SGD with Nesterov momentum ("sgd") or plain momentum ("momentum"), or Adam ("adam").

    Args: groups: `WsolMethod.parameter_groups`, at their full rates.
    """
    full = [{**group, "params": list(group["params"]), "full_lr": group["lr"]} for group in groups]
    if name in ("sgd", "momentum"):
        return SGD(full, momentum=MOMENTUM, nesterov=name == "sgd")
    if name == "adam":
        return Adam(full)
    raise ConfigError(f"Optimiser {name!r} is unknown; choose sgd, momentum or adam.")


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Every group's rate becomes its full rate times `factor` in [0, 1]."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_lr"] * factor


def optimized_parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """All parameters of all groups, in their order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def clip_gradients(parameters: Sequence[nn.Parameter], largest: float | None = None) -> Tensor:
    """Scales the gradients down to the norm `largest` together; returns their norm before, a scalar.

    None is LARGEST_GRADIENT_NORM, and 0 leaves them as they are.
    """
    largest = LARGEST_GRADIENT_NORM if largest is None else largest
    return torch.nn.utils.clip_grad_norm_(parameters, largest or math.inf)
