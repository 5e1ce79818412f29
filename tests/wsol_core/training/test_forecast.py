"""What a training says of its length: once, from measured steps, and as a warning where it is too short."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar

import pytest

from tests.wsol_core.training.training_doubles import (
    FakeClock,
    TinyMethod,
    make_context,
    stop_after,
    timed_context,
    train,
)
from wsol_core.errors import TrainingCancelled
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.progress import Notice, TrainingHooks


class Demanding(TinyMethod):
    """Takes 40 and 120 steps where nobody says how long."""

    steps: ClassVar[dict[str, int]] = {"classify": 40, "localize": 120}

    def default_steps(self, stage: str, images: int, classes: int, batch_size: int) -> int:
        return self.steps[stage]


def notices_of(folder: Path, seconds: float, **changes: object) -> list[Notice]:
    """Of a training whose steps take so many seconds."""
    clock, said = FakeClock(), []
    method = Demanding(plain=True)
    method.on_step = clock.passing(lambda: seconds)
    hooks = TrainingHooks(on_notice=said.append)
    train(make_context(folder, clock=clock, method=method, hooks=hooks, images=51, **changes))
    return said


def test_the_default_length_is_said_beforehand_and_is_enough(tmp_path: Path) -> None:
    [notice] = notices_of(tmp_path, 3.0, epochs=None)
    assert notice == Notice(
        "The training will take about 8 minutes: 40 steps of stage classify, 120 steps of stage localize."
    )


def test_the_length_and_the_time_left_include_the_work_after_the_last_step(tmp_path: Path) -> None:
    clock, said, seen = FakeClock(), [], []
    method = Demanding(plain=True)
    method.on_step = clock.passing(lambda: 3.0)
    hooks = TrainingHooks(on_progress=seen.append, on_notice=said.append)
    train(make_context(tmp_path, clock=clock, method=method, hooks=hooks, epochs=None, measure_export=lambda _: 120.0))
    assert said[0].text.startswith("The training will take about 10 minutes: ")
    assert seen[-1].seconds_left == pytest.approx(120.0)
    assert seen[-1].seconds_done == pytest.approx(160 * 3.0)


def test_too_few_epochs_are_a_warning_with_the_minutes_that_would_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "wsol_core"):
        length, warning = notices_of(tmp_path, 3.0, epochs=8)
    assert (length.warns, warning.warns) == (False, True)
    assert length.text.startswith("The training will take about 72 seconds: 6 steps of stage classify, 18 ")
    assert warning.text == (  # 160 steps of 3 s, and a quarter more
        "6 steps of stage classify are not enough for 51 images; 40 would do. The model is unreliable: "
        "train for 10 minutes on this machine, or leave the length open."
    )
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [warning.text]


def test_too_few_minutes_are_told_at_the_start_with_more_than_were_given(tmp_path: Path) -> None:
    clock, said = FakeClock(), []
    context = timed_context(tmp_path, clock, 2, lambda: 3.0, hooks=TrainingHooks(on_notice=said.append))
    method = Demanding(plain=True)
    method.on_step = clock.passing(lambda: 3.0)
    train(make_context(tmp_path, epochs=None, minutes=2, clock=clock, method=method, hooks=context.hooks, images=51))
    length, warning = said
    assert length.text.startswith("The training will take about 2 minutes: ")
    assert "of stage localize are not enough" in warning.text or "of stage classify are not enough" in warning.text
    assert "train for 10 minutes" in warning.text


def test_a_training_of_one_step_a_stage_speaks_all_the_same(tmp_path: Path) -> None:
    length, warning = notices_of(tmp_path, 3.0, epochs=1)
    assert "2 steps of stage localize are not enough" in warning.text
    assert length.text.startswith("The training will take about")


def test_a_resumed_training_says_again_how_long_it_takes(tmp_path: Path) -> None:
    with pytest.raises(TrainingCancelled):
        train(make_context(tmp_path, method=Demanding(), hooks=stop_after(20), epochs=None))
    said: list[Notice] = []
    hooks = TrainingHooks(on_notice=said.append)
    train(make_context(tmp_path, method=Demanding(), hooks=hooks, epochs=None), checkpoint=load_checkpoint(tmp_path))
    assert len(said) == 1
