"""A stage that has collapsed goes on, within bounds, and what remains is in the model's card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.wsol_core.training.training_doubles import (
    CLASSES,
    CONFIG,
    CPU,
    FakeClock,
    TinyMethod,
    make_context,
    same,
    stop_after,
    train,
)
from wsol_core.errors import TrainingCancelled
from wsol_core.records import Sample
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.collapse import Collapse, Fault
from wsol_core.training.examination import examiner
from wsol_core.training.fit import fit
from wsol_core.training.loop import TrainingLoop
from wsol_core.training.progress import Notice, Progress, TrainingHooks
from wsol_core.training.state import TrainingContext
from wsol_core.training.training_data import prepare_data

FAULTY = [Collapse(Fault.EMPTY, "The maps are empty.")]
Examine = Callable[[torch.dtype], list[Collapse]]


def findings(*found: list[Collapse]) -> Examine:
    """What successive examinations find; the last for ever."""
    left = list(found)
    return lambda dtype: left.pop(0) if len(left) > 1 else left[0]


def stages_of(folder: Path, examine: Examine, **changes: object) -> tuple[Counter[str], dict[str, str], list[Notice]]:
    """Steps of each stage, what has remained, and what was said."""
    seen: list[Progress] = []
    said: list[Notice] = []
    hooks = TrainingHooks(on_progress=seen.append, on_notice=said.append)
    state = TrainingLoop(
        make_context(folder, hooks=hooks, examine=examine, **{"epochs": None, **changes}), torch.float32
    ).run()
    return Counter(progress.stage for progress in seen), state.collapsed, said


def test_a_sound_training_has_its_default_steps(tmp_path: Path) -> None:
    steps, remains, _ = stages_of(tmp_path, findings([]))
    assert (steps, remains) == ({"classify": 4, "localize": 12}, {})


def test_a_collapsed_stage_goes_on_until_it_has_recovered(tmp_path: Path) -> None:
    steps, remains, said = stages_of(tmp_path, findings(FAULTY, []))
    assert (steps, remains) == ({"classify": 8, "localize": 12}, {})
    assert Notice("The maps are empty. Stage classify goes on for 4 steps.") in said


def test_a_stage_goes_on_twice_at_most_and_the_next_is_not_blamed_for_what_it_left(tmp_path: Path) -> None:
    steps, remains, _ = stages_of(tmp_path, findings(FAULTY))
    assert (steps, remains) == ({"classify": 12, "localize": 12}, {"empty maps": "The maps are empty."})
    new = [*FAULTY, Collapse(Fault.ALIKE, "All alike.")]
    steps, remains, _ = stages_of(tmp_path / "new", findings(FAULTY, FAULTY, FAULTY, new))
    assert (steps, len(remains)) == ({"classify": 12, "localize": 36}, 2)


def test_a_training_that_was_asked_to_be_too_short_stays_short(tmp_path: Path) -> None:
    class Demanding(TinyMethod):
        def default_steps(self, stage: str, images: int, classes: int, batch_size: int) -> int:
            return 40

    steps, remains, _ = stages_of(tmp_path, findings(FAULTY), method=Demanding(), epochs=4)
    assert sum(steps.values()) == 12
    assert remains


def test_a_recipes_epochs_stay_what_they_are(tmp_path: Path) -> None:
    method = TinyMethod()
    method.options = replace(method.options, stage_epochs=(1, 1))
    steps, remains, _ = stages_of(tmp_path, findings(FAULTY), method=method)
    assert len(set(steps.values())) == 1 and max(steps.values()) <= 4
    assert remains


def test_where_minutes_rule_a_stage_goes_on_only_within_them(tmp_path: Path) -> None:
    clock = FakeClock()

    class Capped(TinyMethod):
        def most_steps(self, stage: str, steps_per_epoch: int) -> int | None:
            return 4 if stage == "classify" else None

    method = Capped(plain=True)
    method.on_step = clock.passing(lambda: 4.0)
    steps, remains, _ = stages_of(tmp_path, findings(FAULTY), method=method, minutes=4, clock=clock)
    assert steps["classify"] == 4 + 2 * 4
    assert clock.now - 100 <= 240
    assert remains


@pytest.mark.parametrize("after", [3, 4, 5, 6, 7, 8, 9, 12, 23])
def test_resuming_a_training_that_goes_on_is_exact(tmp_path: Path, after: int) -> None:
    def context(folder: str, **changes: object) -> TrainingContext:
        return make_context(tmp_path / folder, examine=findings(FAULTY), epochs=None, **changes)

    whole = train(context("whole"))
    with pytest.raises(TrainingCancelled):
        train(context("cut", hooks=stop_after(after)))
    assert same(train(context("cut"), checkpoint=load_checkpoint(tmp_path / "cut")), whole)


@pytest.mark.slow
def test_what_has_remained_is_in_the_card(tmp_path: Path, samples: list[Sample]) -> None:
    torch.manual_seed(0)
    card = fit(replace(CONFIG, epochs=1), samples, CLASSES, tmp_path / "model")
    assert card.metrics["collapsed"] == float(len(card.faults) > 1)
    assert {"enough_steps", "collapsed"} <= set(card.metrics)


def test_images_of_every_class_are_examined_without_a_trace_in_the_method(samples: list[Sample]) -> None:
    method = TinyMethod()
    method.train()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    torch.nn.init.zeros_(method.high.weight)
    torch.nn.init.constant_(method.high.bias, -9.0)
    found = examiner(method, prepare_data(samples, CLASSES, 0.1), 64, CPU)(torch.float32)
    assert [each.fault for each in found] == [Fault.CLASSES, Fault.EMPTY]
    assert method.training
    unchanged = {name: value for name, value in method.state_dict().items() if "high" not in name}
    assert same(unchanged, {name: before[name] for name in unchanged})
