"""The training loop: stage -> epoch -> step, with progress, checkpoints, validation and resume.

It knows a method, an endless source of batches and a folder; where images come from, and what becomes of the trained
weights, is in fit.py. A checkpoint's TrainingState, weights and optimiser decide every later step, and nothing
else does: that makes resuming exact. (Where minutes rule, time may change a stage's number of steps after a resume,
as it may without one.)
"""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch.optim import Optimizer

from wsol_core.data.batch import Batch
from wsol_core.errors import CheckpointError, TrainingCancelled
from wsol_core.localization.model_folder import HISTORY
from wsol_core.training.checkpoint import save_checkpoint
from wsol_core.training.history import History
from wsol_core.training.optimizers import build_optimizer
from wsol_core.training.progress import Progress
from wsol_core.training.schedule import WARM_SHARE, StagePlan, lr_factor
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.step import Stepper, StepPlace, StepState, seeded
from wsol_core.training.time_budget import Costs, TimeBudget

logger = logging.getLogger(__name__)

CHECKPOINT_S = 60.0  # at least this often
CHECKPOINT_SHARE = 20  # an epoch's end is saved only when this many times the writing time has gone by since the last
LOGGED_STEPS = 200  # lines of history a stage
WARMUP_STEPS, TIMED_STEPS = 2, 3
LONGEST_MEASURING = 0.05  # of the whole time


class TrainingLoop:
    """Trains a context's method through all its stages, from the beginning or from a checkpoint; `run` once."""

    def __init__(
        self, context: TrainingContext, precision: torch.dtype, checkpoint: Mapping[str, Any] | None = None
    ) -> None:
        self.context = context
        self.stages = context.method.stages
        fresh = TrainingState(StepState(precision=str(precision).removeprefix("torch.")))
        self.state = fresh if checkpoint is None else TrainingState.from_dict(checkpoint["run"])
        self._checkpoint = checkpoint
        self._epoch_steps = max(1, context.source.batches_per_epoch // context.config.accumulate)
        epochs = {stage: context.method.default_epochs[stage] for stage in self.stages}
        used_s = 0.0 if checkpoint is None else checkpoint["elapsed_s"]
        share = WARM_SHARE if context.initialization.warm_start else 1.0
        most = {stage: context.method.most_steps(stage, self._epoch_steps) for stage in self.stages}
        self.budget = TimeBudget(
            context.config, epochs, self._epoch_steps, context.clock, context.started, used_s, share, most
        )
        self._history = History(context.folder / HISTORY, 0 if checkpoint is None else checkpoint["history_lines"])
        self._saved_s, self._saving_s = self.budget.now_s(), 0.0
        self._sums: dict[str, float] = {}
        self._summed = 0

    def run(self) -> TrainingState:
        """Trains all that is left; the method holds the weights to export afterwards."""
        method, first = self.context.method, self.state.stage_index
        for index, stage in enumerate(self.stages):
            with seeded(self.context.device, self.context.config.seed, index):
                method.begin_stage(stage)
            method.train()  # only now does it know what stays frozen
            if index < first:
                continue
            if self._checkpoint is None or index > first:
                self.state.stage_index, self.state.step = index, 0
                self._plan(index)
            self._run_stage(index)
        if (best := self.state.choice.weights) is not None:
            method.load_state_dict(best)
        return self.state

    def _run_stage(self, index: int) -> None:
        optimizer = self._optimizer(index)
        if self._checkpoint is not None and index == self._checkpoint["run"]["stage_index"]:
            self._restore(optimizer, self._checkpoint)
        stepper = self._stepper(optimizer, self.state.steps)
        self.budget.begin_stage()
        if self._checkpoint is None and index == 0:
            self._save(optimizer)
        batches = self.context.source.batches(self.state.batch)
        try:
            while self.state.step < self.state.plans[index].steps:
                self._stop_if_asked(optimizer)
                self.budget.begin_step()
                group = self._next(batches)
                losses = stepper.run(group, self._place(index, self.state.step))
                self.budget.end_step()
                self.state.step += 1
                self.state.batch += len(group)
                self._report(index, losses, sum(len(batch.images) for batch in group), optimizer)
                self._look_up(index)
                self._save_if_due(optimizer)
        finally:
            batches.close()
        self._save(optimizer)

    def _optimizer(self, index: int) -> Optimizer:
        method, stage = self.context.method, self.stages[index]
        return build_optimizer(method.parameter_groups(stage), method.optimizer(stage))

    def _stepper(self, optimizer: Optimizer, state: StepState) -> Stepper:
        context = self.context
        return Stepper(context.method, optimizer, context.device, context.config.seed, context.peers, state)

    def _place(self, index: int, step: int, plan: StagePlan | None = None) -> StepPlace:
        plan = plan or self.state.plans[index]
        progress = plan.progress(step)
        return StepPlace(self.stages[index], index, step, progress, lr_factor(progress, plan.steps))

    def _next(self, batches: Generator[Batch, None, None]) -> list[Batch]:
        return [next(batches) for _ in range(self.context.config.accumulate)]

    def _validates(self, index: int) -> bool:
        return self.context.validate is not None and index == len(self.stages) - 1

    def _plan(self, index: int) -> None:
        """Fixes the number of steps: of all stages where epochs rule, else of this one after measuring it."""
        if self.budget.total_s is None:
            if not self.state.plans:
                self.state.plans = self.budget.plan_epochs(len(self.stages) - 1 if self.context.validate else None)
            return
        self.state.costs = self._measured(index, self.budget.total_s)
        plan = self.budget.plan_minutes(index, self.state.costs)
        self.state.plans.append(StagePlan(**self.context.peers.from_main(plan.to_dict())))
        logger.info(
            "Stage %s: %d steps of %.3f s, so that the training ends in time.",
            self.stages[index],
            self.state.plans[index].steps,
            self.state.costs.step_s,
        )

    def _measured(self, index: int, total_s: float) -> Costs:
        """The costs of the stage that begins; the method is as before."""
        context, clock = self.context, self.context.clock
        kept = {name: value.clone() for name, value in context.method.state_dict().items()}
        trial = StepState(self.state.steps.parts, self.state.steps.precision)
        stepper = self._stepper(self._optimizer(index), trial)
        batches = context.source.batches(self.state.batch)
        plan, began, times = StagePlan(WARMUP_STEPS + TIMED_STEPS), clock(), []
        for step in range(plan.steps):
            start = clock()
            stepper.run(self._next(batches), self._place(index, step, plan))
            times.append(clock() - start)
            if context.peers.any(len(times) > 1 and clock() - began > LONGEST_MEASURING * total_s):
                break
        batches.close()
        self.state.steps.parts = trial.parts
        timed = times[WARMUP_STEPS:] or times[-1:]
        validation_s = self._time_validation() if self._validates(index) else 0.0
        finish_s = self.state.costs.finish_s
        if index == 0 and context.peers.is_main:
            finish_s = context.measure_export()
        context.method.load_state_dict(kept)
        return Costs(*context.peers.from_main([sum(timed) / len(timed), validation_s, finish_s]))

    def _time_validation(self) -> float:
        if self.context.validate is None or not self.context.peers.is_main:
            return 0.0
        start = self.context.clock()
        self.context.validate(getattr(torch, self.state.steps.precision))
        return self.context.clock() - start

    def _look_up(self, index: int) -> None:
        """Validates and corrects the plan where that is due after the step just done."""
        state, plan = self.state, self.state.plans[index]
        validates = self._validates(index) and plan.validates_after(state.step)
        if not validates and not self.budget.is_due(plan, state.step):
            return
        if self.context.peers.is_main:
            if validates:
                self._validate(index)
            plan = self.budget.corrected(plan, state.step, state.costs.validation_s)
            if self._has_converged():
                logger.info("Stopping early: no gain on held-out images in %d epochs.", self.context.config.patience)
                plan = plan.with_steps(state.step, state.step)
        state.plans[index] = StagePlan(**self.context.peers.from_main(plan.to_dict()))

    def _validate(self, index: int) -> None:
        if self.context.validate is None:
            return
        start, epoch = self.context.clock(), self._epoch()
        scores = self.context.validate(getattr(torch, self.state.steps.precision))
        self.state.choice.judge(epoch, scores, self.context.method)
        self.budget.exclude(self.context.clock() - start)
        score = float(scores.mean())
        self._history.add({"stage": self.stages[index], "epoch": epoch, "step": self.state.step, "validation": score})
        logger.info("Epoch %d of %s: validation score %.4f.", epoch, self.stages[index], score)

    def _has_converged(self) -> bool:
        choice, patience = self.state.choice, self.context.config.patience
        return bool(patience and choice.last_gain_epoch and self._epoch() - choice.last_gain_epoch >= patience)

    def _epoch(self) -> int:
        return max(1, math.ceil(self.state.step / self._epoch_steps))

    def _stop_if_asked(self, optimizer: Optimizer) -> None:
        if self.context.peers.any(self.context.peers.is_main and self.context.hooks.should_stop()):
            self._save(optimizer)
            stage, step = self.stages[self.state.stage_index], self.state.step
            raise TrainingCancelled(f"Training was stopped after step {step} of stage {stage}; go on with --resume.")

    def _report(self, index: int, losses: Mapping[str, float], images: int, optimizer: Optimizer) -> None:
        if not self.context.peers.is_main:
            return
        state, plan, step_s = self.state, self.state.plans[index], self.budget.smoothed_step_s
        self.context.hooks.on_progress(
            Progress(
                stage=self.stages[index],
                stage_index=index,
                stages=len(self.stages),
                epoch=self._epoch(),
                epochs=max(1, math.ceil(plan.steps / self._epoch_steps)),
                step=state.step,
                steps=plan.steps,
                losses=losses,
                images_per_s=images * self.context.peers.world_size / max(step_s, 1e-9),
                seconds_left=self.budget.left_s(state.plans[index:], state.step),
            )
        )
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._summed += 1
        if state.step % max(1, plan.steps // LOGGED_STEPS) == 0 or state.step == plan.steps:
            means = {name: round(value / self._summed, 6) for name, value in self._sums.items()}
            line = {"stage": self.stages[index], "epoch": self._epoch(), "step": state.step, "losses": means}
            self._history.add({**line, "lr": optimizer.param_groups[0]["lr"]})
            self._sums, self._summed = {}, 0

    def _save_if_due(self, optimizer: Optimizer) -> None:
        apart_s = self.budget.now_s() - self._saved_s
        epoch_ended = self.state.step % self._epoch_steps == 0 and apart_s >= CHECKPOINT_SHARE * self._saving_s
        if epoch_ended or apart_s >= CHECKPOINT_S:
            self._save(optimizer)

    def _save(self, optimizer: Optimizer) -> None:
        if not self.context.peers.is_main:
            return
        start_s = self.budget.now_s()
        values = {
            "config": self.context.config.to_dict(),
            "identity": dict(self.context.identity),
            **asdict(self.context.initialization),
            "elapsed_s": start_s,
            "history_lines": self._history.lines,
            "run": self.state.to_dict(),
            "weights": self.context.method.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        save_checkpoint(self.context.folder, values)
        self._saved_s = self.budget.now_s()
        self._saving_s = self._saved_s - start_s

    def _restore(self, optimizer: Optimizer, checkpoint: Mapping[str, Any]) -> None:
        try:
            self.context.method.load_state_dict(checkpoint["weights"])
            optimizer.load_state_dict(checkpoint["optimizer"])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(
                f"The checkpoint in {self.context.folder} does not fit this training ({reason}); "
                "train into another folder."
            ) from error
