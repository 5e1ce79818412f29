"""Progress and hooks."""

from __future__ import annotations

import subprocess
import sys

from wsol_core.training.progress import Progress, TrainingHooks


def test_without_hooks_nothing_is_said_and_nothing_stops() -> None:
    hooks = TrainingHooks()
    hooks.on_progress(Progress("classify", 0, 1, 1, 1, 1, 1, {"cls": 0.5}, 10.0, 0.0))
    assert not hooks.should_stop()


def test_as_values_progress_is_rounded_and_its_losses_are_summed() -> None:
    values = Progress(
        "localize", 1, 3, 3, 8, 24, 64, {"region": 0.75, "entropy": 0.5}, 41.6789, 125.04, 61.27
    ).to_values()
    assert values == {
        "stage": "localize",
        "stage_index": 1,
        "stages": 3,
        "epoch": 3,
        "epochs": 8,
        "step": 24,
        "steps": 64,
        "loss": 1.25,
        "images_per_s": 41.68,
        "seconds_left": 125.0,
        "seconds_done": 61.3,
    }


def test_progress_card_schedule_and_history_do_not_load_torch() -> None:
    modules = [
        f"wsol_core.training.{name}" for name in ("progress", "schedule", "history", "time_budget", "enough_steps")
    ]
    code = f"import sys, wsol_core.localization.model_card, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
