"""What a training tells after each step: a Progress for its caller, and every few steps a line of the history."""

from __future__ import annotations

from collections.abc import Mapping

from wsol_core.training.history import History
from wsol_core.training.progress import Progress
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.time_budget import TimeBudget

LINES_PER_STAGE = 200  # of history, about


class StepReporter:
    """Reports on the main process alone."""

    def __init__(self, context: TrainingContext, state: TrainingState, budget: TimeBudget, history: History) -> None:
        self._context = context
        self._state = state
        self._budget = budget
        self._history = history
        self._sums: dict[str, float] = {}
        self._summed = 0

    def after_step(self, index: int, losses: Mapping[str, float], images: int, lr: float) -> None:
        """Reports a step of stage `index` on `images` images a process, made at learning rate `lr`."""
        if not self._context.peers.is_main:
            return
        self._context.hooks.on_progress(self._progress(index, losses, images))
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._summed += 1
        step, steps = self._state.step, self._state.plans[index].steps
        if step % max(1, steps // LINES_PER_STAGE) == 0 or step == steps:
            self._write_line(self._context.method.stages[index], lr)

    def _progress(self, index: int, losses: Mapping[str, float], images: int) -> Progress:
        context, state, stages = self._context, self._state, self._context.method.stages
        return Progress(
            stage=stages[index],
            stage_index=index,
            stages=len(stages),
            epoch=context.epoch_of(state.step),
            epochs=context.epoch_of(state.plans[index].steps),
            step=state.step,
            steps=state.plans[index].steps,
            losses=losses,
            images_per_s=images * context.peers.world_size / max(self._budget.smoothed_step_s, 1e-9),
            seconds_left=self._budget.left_s(state.plans[index:], state.step, state.costs.export_s),
            seconds_done=self._budget.now_s(),
        )

    def _write_line(self, stage: str, lr: float) -> None:
        means = {name: round(value / self._summed, 6) for name, value in self._sums.items()}
        epoch, step = self._context.epoch_of(self._state.step), self._state.step
        self._history.add({"stage": stage, "epoch": epoch, "step": step, "losses": means, "lr": lr})
        self._sums, self._summed = {}, 0
