"""What a running training tells its caller, and how the caller stops it. Torch-free; printing is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """One optimiser step is done.

    `stage_index` counts from 0 of `stages`; `epoch` and `step` count from 1 within the stage, up to `epochs` and
    `steps`. `losses` are the weighted terms of the step; `seconds_left` is for the whole training, all stages and
    the choice of the threshold included.
    """

    stage: str
    stage_index: int
    stages: int
    epoch: int
    epochs: int
    step: int
    steps: int
    losses: Mapping[str, float]
    images_per_s: float
    seconds_left: float

    def to_values(self) -> dict[str, Any]:
        """Plain JSON values, rounded; `loss` is the sum of `losses`, which are left out."""
        return {
            "stage": self.stage,
            "stage_index": self.stage_index,
            "stages": self.stages,
            "epoch": self.epoch,
            "epochs": self.epochs,
            "step": self.step,
            "steps": self.steps,
            "loss": round(sum(float(value) for value in self.losses.values()), 6),
            "images_per_s": round(self.images_per_s, 2),
            "seconds_left": round(self.seconds_left, 1),
        }


def _say_nothing(progress: Progress) -> None:
    """Progress nobody asked for."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class TrainingHooks:
    """`on_progress` is called after every step. `should_stop` is asked before every step; True saves a checkpoint
    and ends the training with TrainingCancelled. Both run in the training's own thread, so they have to be quick."""

    on_progress: Callable[[Progress], None] = _say_nothing
    should_stop: Callable[[], bool] = _never
