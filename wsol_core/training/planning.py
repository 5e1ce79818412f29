"""How many steps each stage gets, and the correction of these plans while the stage runs.

All stages are planned before the first step. Only where minutes rule a stage is planned when it begins, from a few
measured steps, which leave no trace in the weights.
"""

from __future__ import annotations

import logging
from contextlib import closing

from wsol_core.training.schedule import StagePlan
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.step import StepState
from wsol_core.training.time_budget import Costs, TimeBudget

logger = logging.getLogger(__name__)

WARMUP_STEPS, TIMED_STEPS = 2, 3
LONGEST_MEASURING = 0.05  # of the whole time


class StagePlanner:
    """Writes `state.plans` and `state.costs`, which the main process decides for all."""

    def __init__(self, context: TrainingContext, state: TrainingState, budget: TimeBudget) -> None:
        self._context = context
        self._state = state
        self._budget = budget

    def plan(self, index: int) -> None:
        """Plans stage `index`, which begins now, and where minutes do not rule all stages at once."""
        state, budget = self._state, self._budget
        if budget.total_s is None:
            state.plans = state.plans or self._plan_ahead()
            return
        state.costs = self._measure(index, budget.total_s)
        state.plans.append(self._shared(budget.plan_minutes(index, state.costs)))
        logger.info(
            "Stage %s: %d steps of %.3f s, so that the training ends in time.",
            self._context.method.stages[index],
            state.plans[index].steps,
            state.costs.step_s,
        )

    def plan_added_stages(self) -> None:
        """Plans stages that the method has had since the checkpoint was written, where minutes do not rule."""
        plans = self._state.plans
        if self._budget.total_s is None and len(plans) < len(self._context.method.stages):
            plans += self._plan_ahead()[len(plans) :]

    def _plan_ahead(self) -> list[StagePlan]:
        validated = [index for index in range(len(self._context.method.stages)) if self._context.validates(index)]
        return self._budget.plan_ahead(validated[0] if validated else None)

    def revise(self, index: int, converged: bool) -> None:
        """Corrects the plan of stage `index` where it would miss its deadline, and ends it where it has `converged`."""
        state = self._state
        plan = self._budget.corrected(state.plans[index], state.step, state.costs.validation_s)
        if converged:
            logger.info("Stopping early: no gain on held-out images in %d epochs.", self._context.config.patience)
            plan = plan.with_steps(state.step, state.step)
        state.plans[index] = self._shared(plan)

    def _shared(self, plan: StagePlan) -> StagePlan:
        return StagePlan(**self._context.peers.broadcast(plan.to_dict()))

    def _measure(self, index: int, total_s: float) -> Costs:
        context = self._context
        weights = {name: value.clone() for name, value in context.method.state_dict().items()}
        step_s = self._measure_step(index, total_s)
        validation_s = self._measure_validation() if context.validates(index) else 0.0
        export_s = self._state.costs.export_s
        if index == 0 and context.peers.is_main:
            export_s = context.measure_export(True)
        context.method.load_state_dict(weights)
        return Costs(*context.peers.broadcast([step_s, validation_s, export_s]))

    def _measure_step(self, index: int, total_s: float) -> float:
        context, clock = self._context, self._context.clock
        trial = StepState(self._state.steps.micro_batches, self._state.steps.precision)
        stepper = context.build_stepper(index, trial)
        plan, began, times = StagePlan(WARMUP_STEPS + TIMED_STEPS), clock(), []
        with closing(context.source.batches(self._state.batch)) as source:
            for step in range(plan.steps):
                start = clock()
                stepper.run(context.next_batches(source), context.place(index, step, plan))
                times.append(clock() - start)
                if context.peers.any(len(times) > 1 and clock() - began > LONGEST_MEASURING * total_s):
                    break
        self._state.steps.micro_batches = trial.micro_batches
        timed = times[WARMUP_STEPS:] or times[-1:]
        return sum(timed) / len(timed)

    def _measure_validation(self) -> float:
        if self._context.validate is None or not self._context.peers.is_main:
            return 0.0
        start = self._context.clock()
        self._context.validate(self._state.steps.dtype)
        return self._context.clock() - start
