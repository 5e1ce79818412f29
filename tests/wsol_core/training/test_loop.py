"""The loop: its plans, its reports, and what it does when memory, numbers, disk or time run out."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.wsol_core.training.training_doubles import CPU, DrawnSource, TinyMethod, make_context, same, train
from wsol_core.data.batch import Batch
from wsol_core.errors import CheckpointError, ConfigError, StorageError, WsolError
from wsol_core.localization.model_folder import CHECKPOINT, HISTORY
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.distributed import Distributed, Peers
from wsol_core.training.history import read_history
from wsol_core.training.optimizers import build_optimizer
from wsol_core.training.planning import TIMED_STEPS, WARMUP_STEPS
from wsol_core.training.progress import Progress, TrainingHooks
from wsol_core.training.state import TrainingContext
from wsol_core.training.step import Stepper, StepPlace, StepState, split_batch


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def passing(self, seconds: Callable[[], float]) -> Callable[[Batch], None]:
        def on_step(batch: Batch) -> None:
            self.now += seconds()

        return on_step


def timed_context(
    folder: Path, clock: FakeClock, minutes: float, seconds: Callable[[], float], **changes: object
) -> TrainingContext:
    method = TinyMethod(plain=True)
    method.on_step = clock.passing(seconds)
    return make_context(folder, epochs=None, minutes=minutes, clock=clock, method=method, **changes)


def reports_of(context_of: Callable[[TrainingHooks], TrainingContext]) -> list[Progress]:
    seen: list[Progress] = []
    train(context_of(TrainingHooks(on_progress=seen.append)))
    return seen


def test_every_step_is_reported_with_its_place_and_losses(tmp_path: Path) -> None:
    seen = reports_of(lambda hooks: make_context(tmp_path, hooks=hooks))
    places = [(p.stage, p.stage_index, p.stages, p.epoch, p.epochs, p.step, p.steps) for p in seen]
    assert places[:4] == [
        ("classify", 0, 2, 1, 1, 1, 3),
        ("classify", 0, 2, 1, 1, 2, 3),
        ("classify", 0, 2, 1, 1, 3, 3),
        ("localize", 1, 2, 1, 3, 1, 9),
    ]
    assert places[-1] == ("localize", 1, 2, 3, 3, 9, 9)
    assert set(seen[0].losses) == {"cls", "area"}
    assert seen[0].images_per_s > 0
    assert seen[-1].seconds_left == 0


def test_training_learns_what_the_labels_say(tmp_path: Path) -> None:
    seen = reports_of(lambda hooks: make_context(tmp_path, hooks=hooks, epochs=40))
    assert seen[-1].losses["cls"] < 0.5 * seen[0].losses["cls"]


def test_without_epochs_and_minutes_the_methods_own_epochs_are_trained(tmp_path: Path) -> None:
    seen = reports_of(lambda hooks: make_context(tmp_path, hooks=hooks, epochs=None))
    assert len(seen) == 3 * (1 + 3)


def test_minutes_end_on_time_and_are_shared_as_the_methods_epochs(tmp_path: Path) -> None:
    clock = FakeClock()
    seen: list[Progress] = []
    hooks = TrainingHooks(on_progress=seen.append)
    train(timed_context(tmp_path, clock, 10, lambda: 4.0, hooks=hooks, measure_export=lambda: 30.0))
    used = clock.now - 100
    assert 0.95 * 570 <= used <= 570  # 600 s less 30 s for the work after the last stage
    first = sum(p.stage == "classify" for p in seen)
    assert 0.22 < first / len(seen) < 0.28
    assert seen[0].seconds_left == pytest.approx(600 - 5 * 4 - 4)


def test_minutes_end_on_time_when_steps_become_slower_or_faster_than_measured(tmp_path: Path) -> None:
    for factor in (3.0, 0.4):
        clock = FakeClock()
        began = clock.now

        def seconds(clock: FakeClock = clock, factor: float = factor, began: float = began) -> float:
            return 4.0 if clock.now < began + 200 else 4 * factor

        train(timed_context(tmp_path / str(factor), clock, 10, seconds))
        assert 0.93 * 600 <= clock.now - began <= 600


def test_minutes_leave_room_for_validation(tmp_path: Path) -> None:
    clock = FakeClock()

    def validate(dtype: torch.dtype) -> torch.Tensor:
        clock.now += 5.0
        return torch.ones(3)

    train(timed_context(tmp_path, clock, 10, lambda: 3.0, validate=validate))
    assert 0.93 * 600 <= clock.now - 100 <= 600
    assert 1 <= sum("validation" in line for line in read_history(tmp_path / HISTORY)) <= 20


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


def test_too_little_memory_halves_the_images_at_a_time_and_changes_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = train(make_context(tmp_path / "whole", plain=True))
    context = make_context(tmp_path / "small", plain=True)

    def needs_memory(batch: Batch) -> None:
        if len(batch.images) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    context.method.on_step = needs_memory  # type: ignore[assignment]
    with caplog.at_level(logging.WARNING):
        small = train(context)
    assert "going on with 2 images at a time" in caplog.text
    assert "going on with 1 images at a time" in caplog.text
    assert load_checkpoint(tmp_path / "small")["run"]["steps"]["parts"] == 4
    for name, value in whole.items():
        torch.testing.assert_close(small[name], value, rtol=1e-3, atol=1e-4)


def test_one_image_that_does_not_fit_the_memory_is_an_error_that_says_what_to_change(tmp_path: Path) -> None:
    context = make_context(tmp_path)

    def never_fits(batch: Batch) -> None:
        raise MemoryError

    context.method.on_step = never_fits  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="side_px"):
        train(context)


def test_an_error_that_is_not_about_memory_is_not_swallowed(tmp_path: Path) -> None:
    context = make_context(tmp_path)

    def broken(batch: Batch) -> None:
        raise RuntimeError("shapes differ")

    context.method.on_step = broken  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(context)


def make_stepper(state: StepState) -> tuple[TinyMethod, Stepper]:
    torch.manual_seed(0)
    method = TinyMethod()
    optimizer = build_optimizer(method.parameter_groups("classify"), "sgd")
    return method, Stepper(method, optimizer, CPU, 0, Peers(Distributed(), CPU), state)


def poisoned(batch: Batch) -> Batch:
    return Batch(batch.images * float("nan"), batch.labels, batch.target, batch.region_kind, batch.region)


def test_a_step_that_is_not_finite_is_skipped_with_weights_and_running_statistics_intact() -> None:
    state = StepState()
    method, stepper = make_stepper(state)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    stepper.run([poisoned(DrawnSource().batch(0))], StepPlace("classify", 0, 0, 0.0, 1.0))
    assert same(before, method.state_dict())
    assert (state.skipped_steps, state.consecutive_skips) == (1, 1)
    stepper.run([DrawnSource().batch(0)], StepPlace("classify", 0, 1, 0.1, 1.0))
    assert not same(before, method.state_dict())
    assert (state.skipped_steps, state.consecutive_skips) == (1, 0)


def test_three_bad_steps_in_a_row_end_low_precision_and_ten_more_the_training() -> None:
    state = StepState(precision="bfloat16")
    _, stepper = make_stepper(state)
    bad = [poisoned(DrawnSource().batch(0))]
    for step in range(3):
        stepper.run(bad, StepPlace("classify", 0, step, 0.0, 1.0))
    assert state.precision == "float32"
    for step in range(3, 12):
        stepper.run(bad, StepPlace("classify", 0, step, 0.0, 1.0))
    with pytest.raises(WsolError, match="10 consecutive steps"):
        stepper.run(bad, StepPlace("classify", 0, 12, 0.0, 1.0))
    assert state.skipped_steps == 13


def test_accumulated_batches_give_the_gradient_of_one_large_batch() -> None:
    torch.manual_seed(0)
    results = []
    for size, accumulate in ((8, 1), (4, 2)):
        torch.manual_seed(0)
        method = TinyMethod(plain=True)
        optimizer = build_optimizer(method.parameter_groups("classify"), "sgd")
        stepper = Stepper(method, optimizer, CPU, 0, Peers(Distributed(), CPU), StepState())
        large = DrawnSource(8).batch(0)
        parts = list(split_batch(large, accumulate))
        assert [len(part.images) for part in parts] == [size] * accumulate
        losses = stepper.run(parts, StepPlace("classify", 0, 0, 0.0, 1.0))
        results.append((losses, method.state_dict()))
    assert results[0][0]["cls"] == pytest.approx(results[1][0]["cls"], rel=1e-5)
    for name, value in results[0][1].items():
        torch.testing.assert_close(results[1][1][name], value)


def test_a_split_batch_gives_every_part_a_background_image() -> None:
    batch = DrawnSource(4).batch(0)
    backgrounds = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 3, 16, 16)
    batch = Batch(batch.images, batch.labels, batch.target, batch.region_kind, batch.region, backgrounds)
    parts = list(split_batch(batch, 4))
    assert [part.backgrounds[:, 0, 0, 0].tolist() for part in parts if part.backgrounds is not None] == [
        [0.0],
        [0.0],
        [1.0],
        [1.0],
    ]


def test_the_best_epoch_is_exported_when_the_last_has_collapsed(tmp_path: Path) -> None:
    kept: list[dict[str, torch.Tensor]] = []
    context = make_context(tmp_path)
    scores = iter([0.1, 0.9, 0.0])

    def validate(dtype: torch.dtype) -> torch.Tensor:
        kept.append({name: value.clone() for name, value in method.state_dict().items()})
        return torch.full((5,), next(scores))

    method = context.method
    context = make_context(tmp_path, method=method, validate=validate)
    assert same(train(context), kept[1])


def test_training_stops_early_when_patience_runs_out(tmp_path: Path) -> None:
    seen: list[Progress] = []
    hooks = TrainingHooks(on_progress=seen.append)
    context = make_context(tmp_path, hooks=hooks, epochs=12, patience=2, validate=lambda dtype: torch.full((5,), 0.5))
    train(context)
    assert [p.stage for p in seen].count("localize") == 3 * 3  # the first epoch gains, the next two do not


def test_a_full_disk_stops_the_training_with_the_last_checkpoint_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Progress] = []
    sync = os.fsync

    def full(descriptor: int) -> None:
        if len(seen) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"checkpoint\.pt could not be written: No space left on device"):
        train(make_context(tmp_path, hooks=TrainingHooks(on_progress=seen.append)))
    monkeypatch.undo()
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT, HISTORY}
    resumed = train(make_context(tmp_path), checkpoint=load_checkpoint(tmp_path))
    assert same(resumed, train(make_context(tmp_path / "whole")))


def test_a_checkpoint_of_another_network_says_that_it_does_not_fit(tmp_path: Path) -> None:
    train(make_context(tmp_path))
    context = make_context(tmp_path, method=TinyMethod(num_classes=5))
    with pytest.raises(CheckpointError, match="does not fit"):
        train(context, checkpoint=load_checkpoint(tmp_path))


def test_history_holds_losses_and_learning_rate_of_every_step_of_a_short_training(tmp_path: Path) -> None:
    train(make_context(tmp_path))
    lines = read_history(tmp_path / HISTORY)
    assert [line["step"] for line in lines] == [1, 2, 3, *range(1, 10)]
    assert set(lines[0]) == {"stage", "epoch", "step", "losses", "lr"}
    assert lines[0]["lr"] == pytest.approx(0.05)
    assert lines[-1]["lr"] < 0.01
