"""The training loop: stage -> epoch -> step. What happens around a step is in the modules that it imports.

It knows a method, an endless source of batches and a folder; where images come from, and what becomes of the trained
weights, is in fit.py and export.py. A checkpoint's TrainingState, weights and optimiser decide every later step, and
nothing else does: that makes resuming exact. (Where minutes rule, time may change a stage's number of steps after a
resume, as it may without one.)
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import torch
from torch.optim import Optimizer

from wsol_core.errors import TrainingCancelled
from wsol_core.localization.model_folder import HISTORY
from wsol_core.training.checkpoint import Checkpointer
from wsol_core.training.examination import Examination
from wsol_core.training.forecast import Forecast
from wsol_core.training.history import History
from wsol_core.training.planning import StagePlanner
from wsol_core.training.reporting import StepReporter
from wsol_core.training.sample_images import SampleShower
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.step import Stepper, StepState, seeded
from wsol_core.training.time_budget import TimeBudget
from wsol_core.training.validation import Validation


class TrainingLoop:
    """Trains a method through all its stages, from the beginning or from a checkpoint; `run` once."""

    def __init__(
        self, context: TrainingContext, precision: torch.dtype, checkpoint: Mapping[str, Any] | None = None
    ) -> None:
        fresh = TrainingState(StepState(precision=str(precision).removeprefix("torch.")))
        self.context = context
        self.state = fresh if checkpoint is None else TrainingState.from_dict(checkpoint["run"])
        self.budget = _time_budget(context, 0.0 if checkpoint is None else checkpoint["elapsed_s"])
        lines = 0 if checkpoint is None else checkpoint["history_lines"]
        history = History(context.folder / HISTORY, lines, context.hooks.on_record)
        self._checkpoint = checkpoint
        self._planner = StagePlanner(context, self.state, self.budget)
        self._reporter = StepReporter(context, self.state, self.budget, history)
        self._forecast = Forecast(context, self.state, self.budget)
        self._validation = Validation(context, self.state, self.budget, history)
        self._examination = Examination(context, self.state, self.budget)
        self._samples = SampleShower(context, self.state, self.budget)
        self._checkpointer = Checkpointer(context, self.state, self.budget, history)

    def run(self) -> TrainingState:
        """Trains all that is left; the method holds the weights to export afterwards."""
        context, method, first = self.context, self.context.method, self.state.stage_index
        for index, stage in enumerate(method.stages):
            with seeded(context.device, context.config.seed, index):
                method.begin_stage(stage)
            method.train()  # only now does it know what stays frozen
            if index >= first:
                stepper = self._begin_stage(index, self._checkpoint if index == first else None)
                self._train_stage(index, stepper)
                if context.validates(index):
                    self._take_best_weights()
        return self.state

    def _take_best_weights(self) -> None:
        choice = self.state.choice
        if choice.weights is not None:
            self.context.method.load_state_dict(choice.weights)
            choice.weights = None
            if choice.epoch != self.context.epoch_of(self.state.step):
                self._examination.examine()
        self.context.peers.broadcast_weights(self.context.method)

    def _begin_stage(self, index: int, checkpoint: Mapping[str, Any] | None) -> Stepper:
        if checkpoint is None:
            self.state.stage_index, self.state.step = index, 0
            self._examination.begin_stage()
            self._planner.plan(index)
        stepper = self.context.build_stepper(index, self.state.steps)
        if checkpoint is not None:
            self._planner.plan_added_stages()
            self._checkpointer.restore(stepper.optimizer, checkpoint)
        self.budget.begin_stage()
        if checkpoint is None and index == 0:
            self._checkpointer.save(stepper.optimizer)
        return stepper

    def _train_stage(self, index: int, stepper: Stepper) -> None:
        context, state = self.context, self.state
        with closing(context.source.batches(state.batch)) as source:
            while state.step < state.plans[index].steps or self._examination.goes_on(index):
                self._stop_if_asked(stepper.optimizer)
                self.budget.begin_step()
                batches = context.next_batches(source)
                losses = stepper.run(batches, context.place(index, state.step, state.plans[index]))
                self.budget.end_step()
                state.step += 1
                state.batch += len(batches)
                images = sum(len(batch.images) for batch in batches)
                self._after_step(index, stepper, losses, images)
        self._checkpointer.save(stepper.optimizer)

    def _after_step(self, index: int, stepper: Stepper, losses: Mapping[str, float], images: int) -> None:
        self._reporter.after_step(index, losses, images, stepper.learning_rate)
        self._forecast.after_step(index)
        self._samples.after_step(index)
        validated = self._validation.after_step(index)
        if validated or self.budget.is_due(self.state.plans[index], self.state.step):
            self._planner.revise(index, self._validation.has_converged())
        self._checkpointer.after_step(stepper.optimizer)

    def _stop_if_asked(self, optimizer: Optimizer) -> None:
        peers, state = self.context.peers, self.state
        if peers.any(peers.is_main and self.context.hooks.should_stop()):
            self._checkpointer.save(optimizer)
            stage = self.context.method.stages[state.stage_index]
            raise TrainingCancelled(
                f"Training was stopped after step {state.step} of stage {stage}; it can be resumed."
            )


def _time_budget(context: TrainingContext, used_s: float) -> TimeBudget:
    return TimeBudget(
        context.config,
        context.stage_lengths(),
        context.steps_per_epoch,
        context.clock,
        context.started,
        used_s,
        share=context.initialization.share,
    )
