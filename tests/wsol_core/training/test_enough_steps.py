"""Whether a training has enough steps, and what is said where it has not."""

from __future__ import annotations

import pytest

from wsol_core.training.enough_steps import StageSteps, about, shortage_sentence, shortest


@pytest.mark.parametrize(("steps", "enough"), [(10, False), (60, False), (74, False), (75, True), (250, True)])
def test_three_tenths_of_a_stages_default_steps_are_enough(steps: int, enough: bool) -> None:
    assert StageSteps("localize", steps, 250).is_enough is enough


def test_the_stage_that_lacks_most_is_named_and_none_where_all_have_enough() -> None:
    classify, localize = StageSteps("classify", 70, 150), StageSteps("localize", 36, 250)
    assert shortest([classify, localize]) == localize
    assert shortest([StageSteps("classify", 75, 150), StageSteps("localize", 900, 250)]) is None


def test_a_training_that_is_too_short_is_told_what_would_do() -> None:
    short = StageSteps("localize", 36, 250)
    assert shortage_sentence(short, 51, 6) == (
        "36 steps of stage localize are not enough for 51 images; 250 would do. The model is unreliable: "
        "train for 6 minutes on this machine, or leave the length open."
    )
    assert "1 step of stage localize is not enough for 1 image;" in shortage_sentence(StageSteps("localize", 1, 9), 1)
    assert "train for longer, or" in shortage_sentence(short, 51)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 second"),
        (42, "42 seconds"),
        (89, "89 seconds"),
        (424, "7 minutes"),
        (5400, "2 hours"),
        (3600, "60 minutes"),
    ],
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert about(seconds) == text
