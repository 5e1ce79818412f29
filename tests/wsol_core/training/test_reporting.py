"""What a training tells after a step, and writes into its history."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wsol_core.training.training_doubles import make_context, reports_of, stop_after, train
from wsol_core.errors import TrainingCancelled
from wsol_core.localization.model_folder import HISTORY
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.history import read_history


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


def test_history_holds_losses_and_learning_rate_of_every_step_of_a_short_training(tmp_path: Path) -> None:
    train(make_context(tmp_path))
    lines = read_history(tmp_path / HISTORY)
    assert [line["step"] for line in lines] == [1, 2, 3, *range(1, 10)]
    assert set(lines[0]) == {"stage", "epoch", "step", "losses", "lr"}
    assert lines[0]["lr"] == pytest.approx(0.05)
    assert lines[-1]["lr"] < 0.01


def test_the_history_of_a_resumed_training_has_each_step_once(tmp_path: Path) -> None:
    train(make_context(tmp_path / "whole"))
    with pytest.raises(TrainingCancelled):
        train(make_context(tmp_path / "cut", hooks=stop_after(7)))
    train(make_context(tmp_path / "cut"), checkpoint=load_checkpoint(tmp_path / "cut"))
    whole, cut = read_history(tmp_path / "whole" / HISTORY), read_history(tmp_path / "cut" / HISTORY)
    assert [(line["stage"], line["step"]) for line in cut] == [(line["stage"], line["step"]) for line in whole]
    assert len(cut) == 12  # 4 epochs of 3 batches
    assert cut == whole
