"""Begin a training with the weights of a finished model, whose classes may be others or in another order.

Which dimensions of which tensors belong to the classes is read off the method itself, built for one class more: so
every method can begin warm, and none has to say how.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wsol_core.config import TrainConfig
from wsol_core.errors import CheckpointError
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import load_model
from wsol_core.methods.base import WsolMethod
from wsol_core.methods.build import build_method

logger = logging.getLogger(__name__)

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class WarmStart:
    """A finished model to begin with.

    pretrained: whether its features began as ImageNet's, once. was_short: whether its training had too few steps.
    was_brief: whether it was brief on purpose.
    """

    name: str
    weights: Mapping[str, Tensor]
    classes: tuple[str, ...]
    pretrained: bool
    was_short: bool = False
    was_brief: bool = False

    def knows(self, classes: Sequence[str]) -> bool:
        """Whether the model has learned all of `classes`."""
        return set(classes) <= set(self.classes)

    def load_into(self, method: WsolMethod, config: TrainConfig, classes: Sequence[str]) -> None:
        """Copies the model's weights into the fresh `method` for `classes`; those of new classes stay as they are."""
        before = _class_dimensions(config, len(self.classes))
        now = before if len(classes) == len(self.classes) else _class_dimensions(config, len(classes))
        common = [(index, classes.index(name)) for index, name in enumerate(self.classes) if name in classes]
        state = method.state_dict()
        for name, old in self.weights.items():
            # Flags and counters tell of the training that has ended.
            if old.is_floating_point():
                _copy(old, state[name], [a and b for a, b in zip(before[name], now[name], strict=True)], common)
        logger.info(
            "The training begins with the weights of %s: %d of its %d classes, %d new.",
            self.name,
            len(common),
            len(self.classes),
            len(classes) - len(common),
        )


def read_warm_start(folder: Path, config: TrainConfig) -> WarmStart | None:
    """The finished model in `folder`; None, with a warning, where a training by `config` cannot begin with it."""
    try:
        method, card = load_model(folder)
    except CheckpointError as error:
        logger.warning("The training does not begin with the weights of %s: %s", folder, error)
        return None
    for what in ("method", "backbone", "options"):
        old, new = getattr(card.config, what), getattr(config, what)
        if old != new:
            logger.warning(
                "The training does not begin with the weights of %s: its %s %s %s, not %s.",
                folder,
                what,
                "are" if what == "options" else "is",
                old,
                new,
            )
            return None
    was_short = card.metrics.get("enough_steps") == 0
    if card.metrics.get("collapsed") and not was_short:  # else it has not learned yet, and goes on learning
        logger.warning("The training does not begin with the weights of %s: %s", folder, " ".join(card.faults))
        return None
    return WarmStart(
        folder.name, method.state_dict(), card.classes, _was_pretrained(card), was_short, card.config.brief
    )


def _was_pretrained(card: ModelCard) -> bool:
    """Older cards do not tell; there it is taken that the weights that were asked for had been found."""
    return bool(card.metrics.get("pretrained", card.config.wants_weights))


def _class_dimensions(config: TrainConfig, classes: int) -> dict[str, list[bool]]:
    """For each tensor of the state, whether each of its dimensions grows with the number of classes."""
    shapes, larger = _shapes(config, classes), _shapes(config, classes + 1)
    return {name: [a != b for a, b in zip(shape, larger[name], strict=True)] for name, shape in shapes.items()}


def _shapes(config: TrainConfig, classes: int) -> Shapes:
    with torch.device("meta"):  # shapes without memory or arithmetic
        method = build_method(config.method, config.backbone, classes, multi_label=False, options=config.options)
    return {name: tuple(value.shape) for name, value in method.state_dict().items()}


@torch.no_grad()
def _copy(old: Tensor, new: Tensor, of_classes: Sequence[bool], common: Sequence[tuple[int, int]]) -> None:
    """Writes `old` into `new`: dimensions `of_classes` by the pairs of `common` (old, new), others as far as both go.

    Only ORNet has others that differ: widths that are the number of classes where this is large, and fixed below.
    """
    places: list[Tensor] = []
    for dimension, by_class in enumerate(of_classes):
        shared = min(old.shape[dimension], new.shape[dimension])
        pairs = common if by_class else [(index, index) for index in range(shared)]
        old = old.index_select(dimension, torch.tensor([before for before, _ in pairs], dtype=torch.long))
        shape = [1] * len(of_classes)
        shape[dimension] = -1
        places.append(torch.tensor([after for _, after in pairs], dtype=torch.long).view(shape))
    if places:
        new[tuple(places)] = old
    else:
        new.copy_(old)
