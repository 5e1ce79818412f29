"""The time and the steps of a training, by a clock that the test sets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.wsol_core.training.training_doubles import CONFIG, FakeClock
from wsol_core.training.enough_steps import StageSteps
from wsol_core.training.schedule import WARM_SHARE, StageLength, StagePlan
from wsol_core.training.time_budget import Costs, TimeBudget


def make_budget(clock: FakeClock, **changes: Any) -> TimeBudget:
    """Of 10 minutes, for one stage of 10 steps an epoch."""
    config = replace(CONFIG, epochs=None, minutes=10)
    return TimeBudget(config, [StageLength(10, 100)], 10, clock, clock(), **changes)


def step_of(budget: TimeBudget, clock: FakeClock, seconds: float) -> None:
    budget.begin_step()
    clock.now += seconds
    budget.end_step()


def test_time_before_an_interruption_counts_and_the_interruption_does_not() -> None:
    clock = FakeClock()
    clock.now += 5000
    budget = make_budget(clock, used_s=100)
    clock.now += 20
    assert budget.now_s() == pytest.approx(120)
    assert budget.left_s([StagePlan(10)], 1) == pytest.approx(480)


def test_the_smoothed_time_of_a_step_follows_the_latest_slowly() -> None:
    clock = FakeClock()
    budget = make_budget(clock)
    step_of(budget, clock, 2.0)
    assert budget.smoothed_step_s == pytest.approx(2.0)
    step_of(budget, clock, 4.0)
    assert budget.smoothed_step_s == pytest.approx(2.2)
    budget.begin_stage()
    assert budget.smoothed_step_s == 0


def test_time_that_is_excluded_is_no_steps_time() -> None:
    clock = FakeClock()
    budget = make_budget(clock)
    plan = StagePlan(100, deadline_s=220)
    for _ in range(5):
        step_of(budget, clock, 2.0)
        clock.now += 6.0  # a validation
        budget.exclude(6.0)
    assert budget.corrected(plan, 5, 0.0) == plan.with_steps(5, 95)  # 180 s are left for steps of 2 s


def test_a_plan_is_held_against_the_clock_twenty_times_where_minutes_rule() -> None:
    clock = FakeClock()
    due = [step for step in range(1, 101) if make_budget(clock).is_due(StagePlan(100), step)]
    assert due == list(range(5, 101, 5))
    by_epochs = TimeBudget(CONFIG, [StageLength(1, 10)], 10, clock, clock())
    assert not by_epochs.is_due(StagePlan(100), 5)


def test_costs_have_the_names_of_the_first_version_in_checkpoints() -> None:
    costs = Costs(1.0, 2.0, 3.0)
    assert costs.to_dict() == {"step_s": 1.0, "validation_s": 2.0, "finish_s": 3.0}
    assert Costs.from_dict(costs.to_dict()) == costs


def test_a_stage_that_has_enough_steps_leaves_the_rest_to_the_last() -> None:
    stages = [StageLength(8, 80, most_steps=50), StageLength(10, 100, most_steps=60)]
    in_time = TimeBudget(replace(CONFIG, epochs=None, minutes=6), stages, 10, lambda: 0.0, 0.0)
    plan = in_time.plan_minutes(0, Costs(0.1))
    assert (plan.steps, plan.deadline_s) == (50, pytest.approx(5))
    assert in_time.plan_minutes(1, Costs(0.1)).steps > 3000
    assert [plan.steps for plan in TimeBudget(CONFIG, stages, 10, lambda: 0.0, 0.0).plan_ahead(None)] == [9, 11]
    by_epochs = TimeBudget(replace(CONFIG, epochs=18), stages, 10, lambda: 0.0, 0.0)
    assert [plan.steps for plan in by_epochs.plan_ahead(None)] == [50, 130]


def test_without_epochs_and_minutes_every_stage_takes_the_steps_that_the_method_wants() -> None:
    stages = [StageLength(8, 150), StageLength(10, 250)]
    budget = TimeBudget(replace(CONFIG, epochs=None), stages, 7, lambda: 0.0, 0.0)
    plans = budget.plan_ahead(validating_stage=1)
    assert [plan.steps for plan in plans] == [150, 250]
    assert [plan.validate_every for plan in plans] == [0, 14]  # whole epochs of 7 steps, at most 20 times


def test_half_of_the_steps_minutes_or_epochs_is_what_a_warm_training_takes() -> None:
    stages = [StageLength(8, 150), StageLength(10, 250)]
    in_time = TimeBudget(replace(CONFIG, epochs=None, minutes=6), stages, 10, lambda: 0.0, 0.0, share=WARM_SHARE)
    assert in_time.total_s == pytest.approx(180)
    by_default = TimeBudget(replace(CONFIG, epochs=None), stages, 10, lambda: 0.0, 0.0, share=WARM_SHARE)
    assert [plan.steps for plan in by_default.plan_ahead(None)] == [75, 125]
    short = TimeBudget(replace(CONFIG, epochs=1), stages, 10, lambda: 0.0, 0.0, share=WARM_SHARE)
    assert sum(plan.steps for plan in short.plan_ahead(None)) == 10


def test_minutes_that_would_do_count_the_work_after_the_last_step_once() -> None:
    clock = FakeClock()
    budget = make_budget(clock)
    step_of(budget, clock, 3.0)
    assert (
        budget.enough_minutes(1.25, 120.0, StageSteps("separate", 90, 100)) == 11
    )  # 8 / 0.9 minutes, and 2 afterwards
    assert budget.enough_minutes(1.25, 120.0, StageSteps("separate", 1, 100)) == 18  # twice 1.25 * (300 + 120) s


def test_a_brief_training_takes_as_many_steps_of_each_stage_as_mean_something() -> None:
    clock, config = FakeClock(), replace(CONFIG, epochs=None, brief=True)
    budget = TimeBudget(config, [StageLength(8, 150), StageLength(10, 250), StageLength(5, 0)], 10, clock, clock())
    assert [plan.steps for plan in budget.plan_ahead(None)] == [45, 75, 0]
    assert StageSteps("classify", 45, budget.default_steps[0]).is_enough
