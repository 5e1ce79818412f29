"""The time and steps that a training may take, and their correction on the way.

Where nobody says how long, every stage takes the steps that the method wants for so many images. Epochs are split
between the stages in proportion to the method's own. In both cases all stages are planned before the first. With
minutes a stage is planned when it begins, from measured steps: the stages share what is left of the time after the
final work, in the same proportion.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wsol_core.config import TrainConfig
from wsol_core.training.enough_steps import StageSteps, least_steps
from wsol_core.training.schedule import (
    StageLength,
    StagePlan,
    corrected_steps,
    split_steps,
    stage_budget_s,
    stage_shares,
    steps_within,
    validation_interval,
)

MOST_VALIDATIONS = 20  # of a stage
VALIDATION_SHARE = 0.1  # of a stage's time, where minutes rule
RECHECKS = 20  # of a stage
RECENT = 0.1  # weight of the newest step in the smoothed speed
RECENT_STEPS = 3  # that a forecast is made from


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured seconds: of one step, of one validation (0 without), and of the export after the last stage."""

    step_s: float
    validation_s: float = 0.0
    export_s: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """Plain values, by their names in checkpoints."""
        return {"step_s": self.step_s, "validation_s": self.validation_s, "finish_s": self.export_s}

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> Costs:
        """The costs of `to_dict`'s values."""
        return cls(values["step_s"], values["validation_s"], values["finish_s"])


class TimeBudget:
    """Measures how long this training and its steps take, and plans stages by it.

    `lengths` are what the method wants of its stages, in their order. `clock` gives seconds from any zero; `started`
    is its value when this process began the training, which had taken `used_s` before it was interrupted. The training
    takes `share` of what it would take otherwise. What a stage with `most_steps` does not need is left for the last.
    """

    def __init__(
        self,
        config: TrainConfig,
        lengths: Sequence[StageLength],
        steps_per_epoch: int,
        clock: Callable[[], float],
        started: float,
        used_s: float = 0.0,
        share: float = 1.0,
    ) -> None:
        self.total_s = None if config.minutes is None else config.minutes * 60 * share
        self.steps_per_epoch = steps_per_epoch
        self.smoothed_step_s = 0.0
        self._share, self._minutes, self._brief = share, config.minutes, config.brief
        self.default_steps = [max(1, round(length.steps * share)) if length.steps else 0 for length in lengths]
        self._epochs = None if config.epochs is None else max(1, round(config.epochs * share))
        self._shares = stage_shares(lengths)
        # The last stage takes all that is left.
        self._most = [*[length.most_steps for length in lengths[:-1]], None]
        self._clock = clock
        self._zero = started - used_s
        self._reserved_s = 0.0
        self._recent_s: deque[float] = deque(maxlen=RECENT_STEPS)
        self._mark_s = self.now_s()
        self._window_start_s, self._window_steps, self._window_excluded_s = self.now_s(), 0, 0.0

    def now_s(self) -> float:
        """Seconds this training has taken, interruptions not counted."""
        return self._clock() - self._zero

    def plan_ahead(self, validating_stage: int | None) -> list[StagePlan]:
        """The plans of all stages, where minutes do not rule."""
        if self._epochs is not None:
            all_steps = self._split(self._epochs * self.steps_per_epoch)
        else:
            all_steps = [least_steps(steps) for steps in self.default_steps] if self._brief else self.default_steps
        return [
            StagePlan(
                steps, validation_interval(steps, self.steps_per_epoch, MOST_VALIDATIONS * (i == validating_stage))
            )
            for i, steps in enumerate(all_steps)
        ]

    def _split(self, steps: int, first: int = 0) -> list[int]:
        """The steps of each stage from `first` on, when these have so many together."""
        shares = self._shares[first:]
        split = split_steps(steps, [share / sum(shares) for share in shares])
        for i, most in enumerate(self._most[first:]):
            spare = 0 if most is None else max(0, split[i] - most)
            split[i], split[-1] = split[i] - spare, split[-1] + spare
        return split

    def plan_minutes(self, index: int, costs: Costs) -> StagePlan:
        """The plan of the stage that begins now, where minutes rule."""
        if self.total_s is None:
            raise ValueError("no minutes are given")
        used_s = self.now_s() + self._reserved_s
        budget_s = stage_budget_s(self.total_s, used_s, costs.export_s, self._shares[index:])
        most = 0
        if costs.validation_s:
            most = min(MOST_VALIDATIONS, max(1, int(VALIDATION_SHARE * budget_s / costs.validation_s)))
        steps = steps_within(budget_s, costs.step_s, costs.validation_s, most)
        enough = self._most[index]
        if enough is not None and steps > enough:
            steps, budget_s = enough, enough * costs.step_s
        every = validation_interval(steps, self.steps_per_epoch, most)
        return StagePlan(steps, every, deadline_s=self.now_s() + budget_s)

    def forecast_steps(self, plan: StagePlan, index: int, costs: Costs) -> list[int]:
        """The steps of the stages after stage `index`, which goes by `plan`, at its speed; where minutes rule."""
        if self.total_s is None or plan.deadline_s is None or index + 1 == len(self._shares):
            return []
        left_s = stage_budget_s(self.total_s, plan.deadline_s, costs.export_s, [1.0])
        return self._split(steps_within(left_s, costs.step_s, 0.0, 0), index + 1)

    def whole_s(self, plans: Sequence[StagePlan], index: int, step: int, export_s: float = 0.0) -> float:
        """Seconds of the whole training, after `step` steps of stage `index`, at the speed of its last steps."""
        if self.total_s is not None:
            return self.total_s
        left = sum(plan.steps for plan in plans[index:]) - step
        return self.now_s() + left * self.recent_step_s + export_s

    def enough_minutes(self, margin: float, export_s: float, short: StageSteps) -> int:
        """Minutes that give every stage its default steps on this machine, `margin` times as long to be sure.

        Where minutes were given, what the export left of them is also as many times more as stage `short` lacks, up to
        twice as long: a few steps say little.
        """
        seconds = margin * (sum(self.default_steps) * self.recent_step_s + export_s) / self._share
        if self._minutes is not None:
            for_steps_s = max(0.0, 60 * self._minutes - export_s)
            in_proportion = export_s + for_steps_s * short.default / max(1, short.steps)
            seconds = max(seconds, min(in_proportion, 2 * seconds))
        return math.ceil(seconds / 60)

    def spare_steps(self, index: int, costs: Costs) -> int:
        """How many more steps stage `index` can have: its default, or what minutes leave beside the stages after it."""
        if self.total_s is None:
            return self.default_steps[index]
        later_s = sum(self.default_steps[index + 1 :]) * self.recent_step_s
        left_s = stage_budget_s(self.total_s, self.now_s() + self._reserved_s, costs.export_s + later_s, [1.0])
        return min(self.default_steps[index], int(left_s / max(self.recent_step_s, 1e-9)))

    def deadline_after(self, steps: int) -> float | None:
        """When `steps` more steps end, where minutes rule."""
        return None if self.total_s is None else self.now_s() + steps * self.recent_step_s

    def is_due(self, plan: StagePlan, step: int) -> bool:
        """Whether the plan is compared with the clock after `step` steps."""
        return self.total_s is not None and step % max(1, plan.steps // RECHECKS) == 0

    def corrected(self, plan: StagePlan, step: int, validation_s: float) -> StagePlan:
        """The plan, with another number of steps where it `is_due` and would miss its deadline."""
        if self.total_s is None or not self._window_steps or not self.is_due(plan, step):
            return plan
        now_s = self.now_s()
        step_s = (now_s - self._window_start_s - self._window_excluded_s) / self._window_steps
        self._window_start_s, self._window_steps, self._window_excluded_s = now_s, 0, 0.0
        steps = corrected_steps(plan, step, now_s, step_s, validation_s, self.total_s)
        return plan if steps is None else plan.with_steps(step, steps)

    @property
    def recent_step_s(self) -> float:
        """Seconds a step of this stage took lately; 0 before its first."""
        return sum(self._recent_s) / max(1, len(self._recent_s))

    def begin_step(self) -> None:
        """Starts the clock of a step."""
        self._mark_s = self.now_s()

    def end_step(self) -> None:
        """Stops the clock of the step."""
        step_s = self.now_s() - self._mark_s
        self._recent_s.append(step_s)
        self.smoothed_step_s += (step_s - self.smoothed_step_s) * (RECENT if self.smoothed_step_s else 1.0)
        self._window_steps += 1

    def exclude(self, seconds: float) -> None:
        """Leaves these seconds, which belong to no step, out of the speed."""
        self._window_excluded_s += seconds

    def reserve(self, seconds: float) -> None:
        """These seconds went by after a stage, and will after each."""
        self.exclude(seconds)
        self._reserved_s = seconds

    def begin_stage(self) -> None:
        """Forgets how long the steps of another stage took."""
        self._recent_s.clear()
        self.smoothed_step_s = 0.0
        self._window_start_s, self._window_steps, self._window_excluded_s = self.now_s(), 0, 0.0

    def left_s(self, plans: Sequence[StagePlan], step: int, export_s: float = 0.0) -> float:
        """Seconds left of the whole training, after `step` steps of the first of `plans`, those not yet done.

        Where minutes rule these count, but the work after the last stage takes its time all the same.
        """
        if self.total_s is not None:
            return max(export_s, self.total_s - self.now_s())
        return (sum(plan.steps for plan in plans) - step) * self.smoothed_step_s + export_s
