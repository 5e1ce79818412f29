"""A training's progress for programs, for a log and without a terminal."""

from __future__ import annotations

import pytest

from backend.commands.training_display import as_sentence, as_values, duration, showing
from wsol_core.training.progress import Progress

PROGRESS = Progress(
    stage="localize",
    stage_index=1,
    stages=3,
    epoch=3,
    epochs=8,
    step=24,
    steps=64,
    losses={"region": 0.75, "entropy": 0.5},
    images_per_s=41.7,
    seconds_left=125.0,
)


def test_progress_for_programs_carries_every_term_and_their_sum() -> None:
    values = as_values(PROGRESS)
    assert values["event"] == "progress"
    assert (values["loss"], values["losses"]) == (1.25, {"region": 0.75, "entropy": 0.5})
    assert (values["stage"], values["epoch"], values["step"], values["seconds_left"]) == ("localize", 3, 24, 125.0)


def test_progress_for_a_log_is_a_sentence() -> None:
    expected = "localize (2/3), step 24/64, epoch 3/8, loss 1.250, 42 images/s, 2 min 05 s left"
    assert as_sentence(PROGRESS) == expected


def test_without_a_terminal_progress_is_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with showing(as_json=False) as on_progress:
        on_progress(PROGRESS)
        on_progress(PROGRESS)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", as_sentence(PROGRESS) + "\n")  # the second came too soon


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min"), (7830, "2 h 10 min")]
)
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text
