"""What a training works with, and where it stands between two steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.wsol_core.training.training_doubles import DrawnSource, TinyMethod, make_context
from wsol_core.errors import CheckpointError
from wsol_core.training.schedule import StageLength, StagePlan
from wsol_core.training.state import TrainingState
from wsol_core.training.step import StepState
from wsol_core.training.time_budget import Costs


def test_a_state_survives_a_checkpoint_under_the_names_of_the_first_version() -> None:
    state = TrainingState(
        StepState(2, "bfloat16", 1, 4), 1, 5, 8, [StagePlan(3), StagePlan(9, 3)], Costs(0.5, 1.0, 2.0)
    )
    values = state.to_dict()
    first = {"steps", "stage_index", "step", "batch", "plans", "costs", "choice"}
    assert set(values) == first | {"extensions", "known", "collapsed"}
    assert values["steps"] == {"parts": 2, "precision": "bfloat16", "bad_in_a_row": 1, "bad_steps": 4}
    again = TrainingState.from_dict(values)
    assert again.steps.dtype == torch.bfloat16
    assert again.to_dict() == values
    assert TrainingState.from_dict({name: values[name] for name in first}).to_dict() == values


@pytest.mark.parametrize("missing", ["steps", "batch", "costs"])
def test_a_state_that_lacks_something_names_it(missing: str) -> None:
    values = TrainingState(StepState()).to_dict()
    del values[missing]
    with pytest.raises(CheckpointError, match=f"lacks something \\('{missing}'\\)"):
        TrainingState.from_dict(values)


def test_an_epoch_has_as_many_steps_as_batches_divided_by_those_of_a_step(tmp_path: Path) -> None:
    context = make_context(tmp_path, source=DrawnSource())
    assert context.steps_per_epoch == 3
    assert [context.epoch_of(step) for step in (0, 1, 3, 4)] == [1, 1, 1, 2]
    assert make_context(tmp_path, accumulate=2).steps_per_epoch == 1
    assert make_context(tmp_path, accumulate=8).steps_per_epoch == 1


def test_a_stage_wants_steps_for_the_images_of_all_processes_and_no_fewer_than_its_limit(tmp_path: Path) -> None:
    asked = []

    class Asking(TinyMethod):
        def default_steps(self, stage: str, images: int, classes: int, batch_size: int) -> int:
            asked.append((stage, images, classes, batch_size))
            return 40

        def most_steps(self, stage: str, steps_per_epoch: int) -> int | None:
            return 30 if stage == "classify" else None

    context = make_context(tmp_path, method=Asking(), images=238, batch_size=16, accumulate=2)
    assert context.stage_lengths() == [StageLength(1, 40, most_steps=40), StageLength(3, 40)]
    assert asked == [("classify", 238, 2, 32), ("localize", 238, 2, 32)]


def test_only_the_last_stage_is_validated_and_only_on_images_held_out(tmp_path: Path) -> None:
    assert not make_context(tmp_path).validates(1)
    context = make_context(tmp_path, validate=lambda dtype: torch.ones(1))
    assert [context.validates(index) for index in (0, 1)] == [False, True]
