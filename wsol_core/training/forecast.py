"""Says after a few steps how long a training will take, and where that is too short to mean anything."""

from __future__ import annotations

import logging
from dataclasses import replace

from wsol_core.training.enough_steps import StageSteps, about, shortage_sentence, shortest
from wsol_core.training.progress import Notice, TrainingHooks
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.time_budget import TimeBudget

logger = logging.getLogger(__name__)

MEASURED_STEPS = 5  # of a stage, before its speed is known; the first ones are slower
LATER_STAGES_SLOWER = 1.25  # the minutes that are advised, against those of the measured stage's steps


class Forecast:
    """Notices of the main process: once how long it takes, and once that it is too short."""

    def __init__(self, context: TrainingContext, state: TrainingState, budget: TimeBudget) -> None:
        self._context, self._state, self._budget = context, state, budget
        self._told = self._warned = False
        self._stage, self._seen = -1, 0

    def after_step(self, index: int) -> None:
        """Speaks once the speed of stage `index` is known, or the stage ends."""
        if not self._context.peers.is_main:
            return
        if self._stage != index:
            self._stage, self._seen = index, 0
        self._seen += 1
        ends = self._state.step == self._state.plans[index].steps
        if self._seen == MEASURED_STEPS or (ends and self._seen < MEASURED_STEPS):
            self._speak(index)

    def _speak(self, index: int) -> None:
        context, budget, state = self._context, self._budget, self._state
        stages = planned_stages(context, state, budget, index)
        if not self._told:
            self._told = True
            self._measure_export(stages[-1].is_enough)
            whole_s = budget.whole_s(state.plans, index, state.step, state.costs.export_s)
            self._say(Notice(_length(stages, whole_s)))
        short = shortest(stages)
        if short is not None and not self._warned:
            self._warned = True
            minutes = budget.enough_minutes(LATER_STAGES_SLOWER, self._state.costs.export_s, short)
            self._say(Notice(shortage_sentence(short, context.images, minutes), warns=True))

    def _measure_export(self, with_objects: bool) -> None:
        """Where minutes rule that has been done before the first step; else only those who are told want to know it."""
        if self._state.costs.export_s or self._context.hooks == TrainingHooks():
            return
        start = self._context.clock()
        self._state.costs = replace(self._state.costs, export_s=self._context.measure_export(with_objects))
        self._budget.exclude(self._context.clock() - start)

    def _say(self, notice: Notice) -> None:
        logger.log(logging.WARNING if notice.warns else logging.INFO, "%s", notice.text)
        self._context.hooks.on_notice(notice)


def planned_stages(context: TrainingContext, state: TrainingState, budget: TimeBudget, index: int) -> list[StageSteps]:
    """All stages as they are planned while stage `index` runs, or as they were once the last has ended."""
    steps = [plan.steps for plan in state.plans]
    if len(steps) < len(context.method.stages):
        steps += budget.forecast_steps(state.plans[index], index, state.costs)
    return [
        StageSteps(stage, count, default)
        for stage, count, default in zip(context.method.stages, steps, budget.default_steps, strict=True)
    ]


def _length(stages: list[StageSteps], seconds: float) -> str:
    steps = ", ".join(f"{stage.steps} steps of stage {stage.stage}" for stage in stages)
    return f"The training will take about {about(seconds)}: {steps}."
