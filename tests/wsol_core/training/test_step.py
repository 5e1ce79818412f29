"""One step: too little memory, numbers that are not finite, and batches in several parts."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from tests.wsol_core.training.training_doubles import CPU, DrawnSource, TinyMethod, make_context, same, train
from wsol_core.data.batch import Batch
from wsol_core.errors import ConfigError, WsolError
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.distributed import Distributed, Peers
from wsol_core.training.optimizers import build_optimizer
from wsol_core.training.step import Stepper, StepPlace, StepState, split_batch


def make_stepper(state: StepState) -> tuple[TinyMethod, Stepper]:
    torch.manual_seed(0)
    method = TinyMethod()
    optimizer = build_optimizer(method.parameter_groups("classify"), "sgd")
    return method, Stepper(method, optimizer, CPU, 0, Peers(Distributed(), CPU), state)


def poisoned(batch: Batch) -> Batch:
    return Batch(batch.images * float("nan"), batch.labels, batch.target, batch.region_kind, batch.region)


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


def test_three_consecutive_skips_end_low_precision_and_ten_more_the_training() -> None:
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
