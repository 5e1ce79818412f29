"""How many steps a stage gets: from epochs, or from minutes that a clock of the test tells."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.wsol_core.training.training_doubles import FakeClock, same, timed_context, train
from wsol_core.data.batch import Batch
from wsol_core.localization.model_folder import HISTORY
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.history import read_history
from wsol_core.training.planning import TIMED_STEPS, WARMUP_STEPS
from wsol_core.training.progress import Progress, TrainingHooks


def test_minutes_end_on_time_and_are_shared_as_the_methods_epochs(tmp_path: Path) -> None:
    clock = FakeClock()
    seen: list[Progress] = []
    hooks = TrainingHooks(on_progress=seen.append)
    train(timed_context(tmp_path, clock, 10, lambda: 4.0, hooks=hooks, measure_export=lambda _: 30.0))
    used = clock.now - 100
    assert 0.95 * 570 <= used <= 570  # 600 s less 30 s for the work after the last stage
    first = sum(p.stage == "classify" for p in seen)
    assert 0.22 < first / len(seen) < 0.28
    assert seen[0].seconds_left == pytest.approx(600 - 5 * 4 - 4)


@pytest.mark.slow
def test_minutes_end_on_time_when_steps_become_slower_or_faster_than_measured(tmp_path: Path) -> None:
    for factor in (3.0, 0.4):
        clock = FakeClock()
        began = clock.now

        def seconds(clock: FakeClock = clock, factor: float = factor, began: float = began) -> float:
            return 4.0 if clock.now < began + 200 else 4 * factor

        train(timed_context(tmp_path / str(factor), clock, 10, seconds))
        assert 0.93 * 600 <= clock.now - began <= 600


@pytest.mark.slow
def test_minutes_leave_room_for_validation(tmp_path: Path) -> None:
    clock = FakeClock()

    def validate(dtype: torch.dtype) -> torch.Tensor:
        clock.now += 5.0
        return torch.ones(3)

    train(timed_context(tmp_path, clock, 10, lambda: 3.0, validate=validate))
    assert 0.93 * 600 <= clock.now - 100 <= 600
    assert 1 <= sum("validation" in line for line in read_history(tmp_path / HISTORY)) <= 20


@pytest.mark.slow
def test_measuring_steps_for_the_plan_leaves_no_trace_in_the_weights(tmp_path: Path) -> None:
    clock = FakeClock()
    context = timed_context(tmp_path, clock, 3, lambda: 1.0)
    weights: list[dict[str, torch.Tensor]] = []
    count_time = context.method.on_step

    def remember(batch: Batch) -> None:
        count_time(batch)  # type: ignore[operator]
        weights.append({name: value.clone() for name, value in context.method.state_dict().items()})

    context.method.on_step = remember  # type: ignore[assignment]
    train(context)
    first = load_checkpoint(tmp_path)["run"]["plans"][0]["steps"]
    for start in (0, WARMUP_STEPS + TIMED_STEPS + first):
        assert not same(weights[start], weights[start + 1])
        assert same(weights[start], weights[start + WARMUP_STEPS + TIMED_STEPS])
