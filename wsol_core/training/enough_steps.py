"""Whether a training has enough steps to mean anything, in one rule, and what to say where it has not. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_SHARE = 0.3  # of a stage's default steps: cards found AP50 .89 with a third of them in the first stage


@dataclass(frozen=True, slots=True)
class StageSteps:
    """A stage's number of `steps`, and its `default`: how many it takes where nobody says how long.

    Example:
        >>> StageSteps("localize", 36, 250).is_enough
        False
    """

    stage: str
    steps: int
    default: int

    @property
    def is_enough(self) -> bool:
        """Whether the stage has at least 30 % of its default steps."""
        return self.steps >= least_steps(self.default)


def least_steps(default: int) -> int:
    """The fewest steps that mean something, of a stage that takes `default` where nobody says how long."""
    return math.ceil(LEAST_SHARE * default)


def shortest(stages: Sequence[StageSteps]) -> StageSteps | None:
    """The stage that lacks most of its steps; None where all have enough."""
    short = [stage for stage in stages if not stage.is_enough]
    return min(short, key=lambda stage: stage.steps / stage.default, default=None)


def shortage_sentence(short: StageSteps, images: int, minutes: int | None = None) -> str:
    """What is said of a training whose stage `short` has too few steps for its `images`.

    Args: minutes: how long would do on this machine; None where its speed is not known.
    """
    long_enough = f"train for {_count(minutes, 'minute')} on this machine" if minutes else "train for longer"
    steps, pictures = _count(short.steps, "step"), _count(images, "image")
    return (
        f"{steps} of stage {short.stage} {'is' if short.steps == 1 else 'are'} not enough for {pictures}; "
        f"{short.default} would do. The model is unreliable: {long_enough}, or leave the length open."
    )


def about(seconds: float) -> str:
    """As people say it: "40 seconds", "7 minutes", "3 hours".

    Example:
        >>> about(424)
        '7 minutes'
    """
    if seconds < 90:
        return _count(max(1, round(seconds)), "second")
    if seconds < 90 * 60:
        return _count(round(seconds / 60), "minute")
    return _count(round(seconds / 3600), "hour")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
