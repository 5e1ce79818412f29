"""What a training works with (`TrainingContext`), and its progress between two steps (`TrainingState`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from wsol_core.config import TrainConfig
from wsol_core.data.batch import Batch
from wsol_core.errors import CheckpointError
from wsol_core.methods.base import WsolMethod
from wsol_core.records import Localization, Sample
from wsol_core.training.collapse import Collapse
from wsol_core.training.distributed import Peers
from wsol_core.training.initialization import Initialization
from wsol_core.training.model_selection import EpochChoice
from wsol_core.training.optimizers import build_optimizer
from wsol_core.training.progress import TrainingHooks
from wsol_core.training.schedule import StageLength, StagePlan, lr_factor
from wsol_core.training.step import Stepper, StepPlace, StepState
from wsol_core.training.time_budget import Costs


class BatchSource(Protocol):
    """Where batches come from; a batch is the same however often, and in whichever order, it is asked for."""

    @property
    def batches_per_epoch(self) -> int:
        """At least 1."""

    def batches(self, start: int) -> Generator[Batch, None, None]:
        """Batches `start`, `start + 1`, ... without end, through the epochs."""


@dataclass(frozen=True, slots=True)
class TrainingContext:
    """What is trained, on what, and who is told.

    clock: seconds from any zero; `started` is its value when the caller began.
    validate: per-image scores (N,) of the method as it is, in the given precision; None where nothing is held out.
    measure_export: seconds that the work after the last stage will take, with or without the exams of single objects.
    images: how many are trained on, without backgrounds.
    localize_samples: what the method as it is finds in the images that are shown; None where there are none.
    examine: how the method as it is has collapsed, in the given precision; None where nobody looks.
    identity: plain values that a checkpoint has to share with the training that goes on from it.
    """

    method: WsolMethod
    initialization: Initialization
    source: BatchSource
    config: TrainConfig
    folder: Path
    device: torch.device
    peers: Peers
    hooks: TrainingHooks
    clock: Callable[[], float]
    started: float
    validate: Callable[[torch.dtype], Tensor] | None = None
    measure_export: Callable[[bool], float] = lambda _: 0.0
    images: int = 1
    localize_samples: Callable[[], Sequence[tuple[Sample, Localization]]] | None = None
    examine: Callable[[torch.dtype], list[Collapse]] | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps, each on `accumulate` batches; at least 1."""
        return max(1, self.source.batches_per_epoch // self.config.accumulate)

    def stage_lengths(self) -> list[StageLength]:
        """What the method wants of its stages, for so many images."""
        return [self._length_of(stage) for stage in self.method.stages]

    def _length_of(self, stage: str) -> StageLength:
        method = self.method
        if method.options.stage_epochs:
            epochs = method.epochs_of(stage)
            return StageLength(epochs, epochs * self.steps_per_epoch, None if epochs else 0)
        batch_size = self.config.batch_size * self.config.accumulate * self.peers.world_size
        steps = method.default_steps(stage, self.images, method.num_classes, batch_size)
        most = method.most_steps(stage, self.steps_per_epoch)
        return StageLength(method.default_epochs[stage], steps, None if most is None else max(most, steps))

    def epoch_of(self, step: int) -> int:
        """The epoch, from 1, that `step` (from 1) of a stage is in."""
        return max(1, math.ceil(step / self.steps_per_epoch))

    def validates(self, index: int) -> bool:
        """Whether epochs of stage `index` are scored, so that the best of them is taken."""
        return self.validate is not None and self.method.stages[index] == self.method.judged_stage()

    def build_stepper(self, index: int, steps: StepState) -> Stepper:
        """A fresh optimiser for stage `index`, and what runs its steps."""
        stage = self.method.stages[index]
        optimizer = build_optimizer(self.method.parameter_groups(stage), self.method.optimizer(stage))
        return Stepper(self.method, optimizer, self.device, self.config.seed, self.peers, steps)

    def place(self, index: int, step: int, plan: StagePlan) -> StepPlace:
        """Where step `step` (from 0) of stage `index` is in `plan`."""
        stage, options, progress = self.method.stages[index], self.method.options, plan.progress(step)
        decays = self.method.epochs_of(stage) / options.decay_epochs if options.decay_epochs else 0.0
        return StepPlace(stage, index, step, progress, lr_factor(progress, plan.steps, options.warmup, decays))

    def next_batches(self, source: Iterator[Batch]) -> list[Batch]:
        """The batches of one optimiser step."""
        return list(islice(source, self.config.accumulate))


@dataclass(slots=True)
class TrainingState:
    """All of a training between two steps, but for weights and optimiser.

    `step` steps of stage `stage_index` (from 0) are done, with `batch` batches in all stages together. `plans` are
    those of the stages planned so far. The last examination found the faults `collapsed`, in sentences by name; `known`
    are the names of those that the stages before have left. The stage went on `extensions` times because of others.
    """

    steps: StepState
    stage_index: int = 0
    step: int = 0
    batch: int = 0
    plans: list[StagePlan] = field(default_factory=list)
    costs: Costs = field(default_factory=lambda: Costs(0.0))
    choice: EpochChoice = field(default_factory=EpochChoice)
    extensions: int = 0
    known: list[str] = field(default_factory=list)
    collapsed: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values and tensors, for a checkpoint."""
        return {
            "steps": self.steps.to_dict(),
            "stage_index": self.stage_index,
            "step": self.step,
            "batch": self.batch,
            "plans": [plan.to_dict() for plan in self.plans],
            "costs": self.costs.to_dict(),
            "choice": self.choice.to_dict(),
            "extensions": self.extensions,
            "known": list(self.known),
            "collapsed": dict(self.collapsed),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingState:
        """The state of `to_dict`'s values; CheckpointError where they are no such."""
        try:
            return cls(
                StepState.from_dict(values["steps"]),
                values["stage_index"],
                values["step"],
                values["batch"],
                [StagePlan(**plan) for plan in values["plans"]],
                Costs.from_dict(values["costs"]),
                EpochChoice.from_dict(values["choice"]),
                # Checkpoints of before models were examined lack these.
                values.get("extensions", 0),
                list(values.get("known", ())),
                dict(values.get("collapsed", {})),
            )
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"The checkpoint lacks something ({error}); train into another folder.") from error
