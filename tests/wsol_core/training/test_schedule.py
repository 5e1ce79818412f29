"""Steps of stages, learning rates and the correction of plans, by hand-computable numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest

from wsol_core.training.schedule import (
    StageLength,
    StagePlan,
    corrected_steps,
    lr_factor,
    split_steps,
    stage_budget_s,
    stage_shares,
    steps_within,
    validation_interval,
)


def test_epochs_are_split_in_proportion_to_the_methods_own() -> None:
    shares = stage_shares([StageLength(2, 100), StageLength(6, 100)])
    assert shares == [0.25, 0.75]
    assert split_steps(80, shares) == [20, 60]


def test_every_stage_gets_at_least_one_step() -> None:
    assert split_steps(1, [0.1, 0.9]) == [1, 1]


def test_the_learning_rate_warms_up_and_falls_to_zero_as_a_cosine() -> None:
    factors = [lr_factor(step / 100, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.2)  # the first of 5 warm-up steps
    assert factors[4] == pytest.approx(1.0, abs=0.01)
    assert factors[50] == pytest.approx(0.5)
    assert factors[99] < 0.001
    assert all(later < earlier for earlier, later in pairwise(factors[5:]))


def test_a_step_falls_to_a_tenth_at_even_distances_without_warm_up_where_that_is_0() -> None:
    factors = [lr_factor(epoch / 9, 900, warmup=0, decays=3) for epoch in range(9)]
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01])
    assert [lr_factor(epoch / 120, 1200, 0, 120 / 80) for epoch in (0, 79, 80, 119)] == pytest.approx([1, 1, 0.1, 0.1])


def test_a_new_number_of_steps_does_not_make_the_progress_jump() -> None:
    plan = StagePlan(100)
    shorter = plan.with_steps(50, 60)
    assert shorter.progress(50) == plan.progress(50) == 0.5
    assert shorter.progress(55) == pytest.approx(0.75)
    assert shorter.progress(60) == 1.0


def test_validations_fall_on_epoch_ends_and_stay_few() -> None:
    assert validation_interval(100, 10, 20) == 10
    assert validation_interval(1000, 10, 20) == 50
    assert validation_interval(100, 10, 0) == 0


def test_the_last_weights_are_validated_too() -> None:
    plan = StagePlan(25, validate_every=10)
    assert [step for step in range(1, 26) if plan.validates_after(step)] == [10, 20, 25]
    assert not StagePlan(25).validates_after(25)


def test_stages_share_the_time_that_the_final_work_leaves() -> None:
    assert stage_budget_s(1000, 80, 100, [0.25, 0.75]) == pytest.approx((980 - 80 - 100) / 4)
    assert stage_budget_s(10, 80, 0, [1.0]) == 0


def test_steps_fill_the_time_that_validation_leaves() -> None:
    assert steps_within(100, 2, 5, 4) == 40
    assert steps_within(0, 2, 5, 4) == 1


def test_only_a_plan_that_misses_its_deadline_is_corrected() -> None:
    plan = StagePlan(100, deadline_s=200)
    assert corrected_steps(plan, 50, 100, 2.0, 0, 200) is None
    assert corrected_steps(plan, 50, 100, 2.03, 0, 200) is None  # 1.5 s late of 200
    assert corrected_steps(plan, 50, 100, 4.0, 0, 200) == 75
    assert corrected_steps(plan, 50, 100, 1.0, 0, 200) == 150
    assert corrected_steps(StagePlan(100), 50, 100, 4.0, 0, 200) is None
    assert corrected_steps(plan, 99, 300, 2.0, 0, 200) == 100
