"""Validation: which weights are exported, and when training stops early."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.wsol_core.training.training_doubles import TinyMethod, make_context, same, train
from wsol_core.training.progress import Progress, TrainingHooks


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


def test_patience_ends_no_stage_before_it_has_had_enough_steps_to_tell(tmp_path: Path) -> None:
    class Slow(TinyMethod):
        def default_steps(self, stage: str, images: int, classes: int, batch_size: int) -> int:
            return 50

    seen: list[Progress] = []
    hooks = TrainingHooks(on_progress=seen.append)
    changes = {"method": Slow(), "hooks": hooks, "epochs": 12, "patience": 2}
    train(make_context(tmp_path, **changes, validate=lambda dtype: torch.full((5,), 0.5)))
    assert [p.stage for p in seen].count("localize") == 15
