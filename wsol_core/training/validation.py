"""Validation while the judged stage runs: scores of held-out images choose its weights, and may end it early."""

from __future__ import annotations

import logging

from wsol_core.training.enough_steps import least_steps
from wsol_core.training.history import History
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.time_budget import TimeBudget

logger = logging.getLogger(__name__)


class Validation:
    """Keeps `state.choice`, on the main process alone."""

    def __init__(self, context: TrainingContext, state: TrainingState, budget: TimeBudget, history: History) -> None:
        self._context = context
        self._state = state
        self._budget = budget
        self._history = history

    def after_step(self, index: int) -> bool:
        """Scores the weights where the plan says so after this step of stage `index`; whether it does."""
        state = self._state
        if not self._context.validates(index) or not state.plans[index].validates_after(state.step):
            return False
        if self._context.peers.is_main:
            self._validate(self._context.method.stages[index])
        return True

    def has_converged(self) -> bool:
        """Whether `config.patience` epochs have brought no gain, and the stage has had enough steps to tell."""
        if self._state.step < least_steps(self._budget.default_steps[self._state.stage_index]):
            return False
        last_gain, patience = self._state.choice.last_gain_epoch, self._context.config.patience
        return bool(patience and last_gain and self._epoch() - last_gain >= patience)

    def _validate(self, stage: str) -> None:
        if self._context.validate is None:
            return
        start, epoch = self._context.clock(), self._epoch()
        scores = self._context.validate(self._state.steps.dtype)
        self._state.choice.update(epoch, scores, self._context.method)
        self._budget.exclude(self._context.clock() - start)
        score = float(scores.mean())
        self._history.add({"stage": stage, "epoch": epoch, "step": self._state.step, "validation": score})
        logger.info("Epoch %d of %s: validation score %.4f.", epoch, stage, score)

    def _epoch(self) -> int:
        return self._context.epoch_of(self._state.step)
