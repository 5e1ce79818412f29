"""The checkpoint: whole or not at all, written when due, and clear words about what is wrong with one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from tests.wsol_core.training.training_doubles import (
    CLASSES,
    CONFIG,
    FakeClock,
    TinyMethod,
    make_context,
    same,
    stop_after,
    train,
)
from wsol_core.errors import CheckpointError, MissingCheckpointError, StorageError, TrainingCancelled
from wsol_core.localization.model_folder import CHECKPOINT, HISTORY
from wsol_core.records import Sample
from wsol_core.training import checkpoint
from wsol_core.training.checkpoint import Checkpointer, load_checkpoint, resume_config, save_checkpoint
from wsol_core.training.fit import fit
from wsol_core.training.history import History
from wsol_core.training.progress import Progress, TrainingHooks
from wsol_core.training.state import TrainingState
from wsol_core.training.step import StepState
from wsol_core.training.time_budget import TimeBudget


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    save_checkpoint(tmp_path, {"step": 1})
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, {"step": 2})
    assert load_checkpoint(tmp_path)["step"] == 1


def test_a_checkpoint_gives_back_what_it_was_given(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"step": 3, "weights": {"a": torch.arange(3.0)}, "config": CONFIG.to_dict()})
    state = load_checkpoint(tmp_path)
    assert state["step"] == 3
    assert state["weights"]["a"].tolist() == [0, 1, 2]
    assert resume_config(tmp_path) == CONFIG


def test_every_tear_of_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"weights": torch.arange(1000.0)})
    whole = (tmp_path / CHECKPOINT).read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / CHECKPOINT).write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt is torn"):
            load_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [b"torn", b"\xff" * 100, b"PK\x03\x04" + b"\0" * 99, b"\x80\x02}q", b"<html>"])
def test_what_is_no_checkpoint_at_all_is_said_to_be_torn(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(CheckpointError, match="torn or not ours"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [{"format": "other"}, {"model": torch.ones(1)}, torch.ones(2), [1, 2]])
def test_a_foreign_checkpoint_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / CHECKPOINT)
    with pytest.raises(CheckpointError, match="another folder"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"format": checkpoint.FORMAT, "config": Path("x")}, tmp_path / CHECKPOINT)
    with pytest.raises(CheckpointError, match="torn or not ours"):
        load_checkpoint(tmp_path)


def test_without_a_checkpoint_the_message_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(MissingCheckpointError, match="begin the training anew"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_is_written_at_the_end_of_an_epoch_and_after_a_minute(tmp_path: Path) -> None:
    clock = FakeClock()
    context = make_context(tmp_path, clock=clock)
    state = TrainingState(StepState())
    budget = TimeBudget(context.config, context.stage_lengths(), 3, clock, clock())
    checkpointer = Checkpointer(context, state, budget, History(tmp_path / HISTORY))
    optimizer = context.build_stepper(0, state.steps).optimizer
    written = []
    for state.step in range(1, 8):
        clock.now += 61 if state.step == 5 else 1
        checkpointer.after_step(optimizer)
        if (tmp_path / CHECKPOINT).exists():
            written.append(state.step)
            (tmp_path / CHECKPOINT).unlink()
    assert written == [3, 5, 6]


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


def test_the_checkpoint_holds_the_settings(tmp_path: Path, samples: list[Sample]) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    assert load_checkpoint(tmp_path / "model")["config"] == CONFIG.to_dict()
