"""What a running training tells its caller, and how the caller stops it. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wsol_core.records import Localization, Sample


@dataclass(frozen=True, slots=True)
class Progress:
    """One optimiser step is done.

    `stage_index` counts from 0 of `stages`; `epoch` and `step` count from 1 within the stage, up to `epochs` and
    `steps`. `losses` are the weighted terms of the step; `seconds_done` and `seconds_left` are for the whole
    training: all stages, and choosing thresholds after them.
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
    seconds_done: float = 0.0

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
            "seconds_done": round(self.seconds_done, 1),
        }


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence about a training for people, such as how long it will take.

    `warns`: the model will be unreliable. The same sentence is logged, as a warning where it warns.
    """

    text: str
    warns: bool = False


@dataclass(frozen=True, slots=True)
class EpochSamples:
    """What the model finds in a few of its images, held-out ones where there are some, as an epoch has ended.

    `found` pairs each image with the objects of its own classes; localizing all of them took `seconds`.
    """

    stage: str
    epoch: int
    found: Sequence[tuple[Sample, Localization]]
    seconds: float


def _ignore(told: Progress | Notice) -> None:
    """The default of `on_progress` and `on_notice`."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class TrainingHooks:
    """What `fit` calls around every step, in its own thread, so that both have to be quick.

    on_progress: called after every step.
    should_stop: called before every step; where it returns True, `fit` saves a checkpoint and raises TrainingCancelled.
    on_notice: called now and then, after a step.
    on_samples: called at the end of epochs, as often as that takes 2 % of the time at most; None: nobody looks.
    on_record: called with every line of history.jsonl: `stage`, `epoch` and `step`, and mean `losses` and `lr`, or a
        `validation` score.

    Example:
        >>> hooks = TrainingHooks(on_progress=lambda progress: print(progress.stage, progress.step, progress.steps))
    """

    on_progress: Callable[[Progress], None] = _ignore
    should_stop: Callable[[], bool] = _never
    on_notice: Callable[[Notice], None] = _ignore
    on_samples: Callable[[EpochSamples], None] | None = None
    on_record: Callable[[Mapping[str, Any]], None] | None = None
