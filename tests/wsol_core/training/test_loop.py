"""The loop: what it learns, and that an interrupted training ends with the very weights of one that was not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from tests.wsol_core.training.training_doubles import make_context, reports_of, same, stop_after, train
from wsol_core.errors import TrainingCancelled
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.progress import Progress, TrainingHooks

STEPS = 12  # 4 epochs of 3 batches: 3 steps of "classify", 9 of "localize"


def fake_validation(dtype: torch.dtype) -> torch.Tensor:
    return torch.rand(4, generator=torch.Generator().manual_seed(1))


def interrupted(
    folder: Path, after: int, precision: torch.dtype = torch.float32, **config: object
) -> dict[str, torch.Tensor]:
    with pytest.raises(TrainingCancelled, match="resumed"):
        train(make_context(folder, hooks=stop_after(after), **config), precision)
    torch.rand(7)  # whatever the process has drawn since
    return train(make_context(folder, **config), precision, load_checkpoint(folder))


def test_training_learns_what_the_labels_say(tmp_path: Path) -> None:
    seen = reports_of(lambda hooks: make_context(tmp_path, hooks=hooks, epochs=40))
    assert seen[-1].losses["cls"] < 0.5 * seen[0].losses["cls"]


def test_without_epochs_and_minutes_the_stages_take_the_methods_default_steps(tmp_path: Path) -> None:
    seen = reports_of(lambda hooks: make_context(tmp_path, hooks=hooks, epochs=None))
    assert Counter(progress.stage for progress in seen) == {"classify": 4, "localize": 12}


@pytest.mark.parametrize("after", range(STEPS))
def test_resuming_after_any_step_gives_the_weights_of_an_uninterrupted_training(tmp_path: Path, after: int) -> None:
    whole = train(make_context(tmp_path / "whole"))
    assert same(interrupted(tmp_path / "cut", after), whole)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_resuming_is_exact_in_either_precision_and_with_accumulation_and_validation(
    tmp_path: Path, precision: torch.dtype
) -> None:
    config = {"accumulate": 2, "epochs": 8, "validate": fake_validation}
    whole = train(make_context(tmp_path / "whole", **config), precision)
    assert same(interrupted(tmp_path / "cut", 5, precision, **config), whole)


def test_resuming_from_a_checkpoint_within_an_epoch_is_exact_after_a_kill(tmp_path: Path) -> None:
    whole = train(make_context(tmp_path / "whole"))
    seen: list[Progress] = []

    def die(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make_context(tmp_path / "cut", hooks=TrainingHooks(on_progress=die)))
    state = load_checkpoint(tmp_path / "cut")
    assert (state["run"]["stage_index"], state["run"]["step"]) in {(1, 3), (1, 0), (0, 3)}
    assert same(train(make_context(tmp_path / "cut"), checkpoint=state), whole)


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    assert not same(train(make_context(tmp_path / "a")), train(make_context(tmp_path / "b", seed=1)))


def test_a_resumed_training_only_asks_for_the_batches_that_are_left(tmp_path: Path) -> None:
    with pytest.raises(TrainingCancelled):
        train(make_context(tmp_path, hooks=stop_after(8)))
    context = make_context(tmp_path)
    train(context, checkpoint=load_checkpoint(tmp_path))
    assert context.source.served == [8, 9, 10, 11]  # type: ignore[attr-defined]
