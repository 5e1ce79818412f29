"""The number of optimiser steps of each stage, and its learning rate. Arithmetic only: torch-free, no clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

WARMUP_SHARE = 0.05  # of a stage's steps
TIME_MARGIN = 0.02  # of the minutes that were asked for: steps never take exactly what was measured
# Of what a training takes that begins with nothing. With the first 60 corrected images a half is about as good as the
# whole is cold; a third loses 0.01 to 0.04 of box and mask IoU, and lower learning rates lose more.
WARM_SHARE = 1 / 2
GO_ON_AT = 0.3  # of a stage's progress: past warm-up and what is only for its beginning, at most of the learning rate
OVERTIME, SLACK = 0.01, 0.03  # of the whole time: forecasts outside are worth a new number of steps


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage's number of steps, fixed before its first.

    `deadline_s` is when the stage has to end, in seconds of training time, where minutes rule; None with epochs. A
    stage that turns out slower or faster than measured gets another number of steps on the way (`with_steps`); its
    progress then goes on from where it was, so the learning rate never jumps.
    """

    steps: int
    validate_every: int = 0  # steps; 0 is never
    deadline_s: float | None = None
    anchor_step: int = 0
    anchor_progress: float = 0.0

    def progress(self, step: int) -> float:
        """The share of the stage that is done before `step` (from 0): 0 at its start, 1 at its end."""
        done = (step - self.anchor_step) / max(1, self.steps - self.anchor_step)
        return self.anchor_progress + (1 - self.anchor_progress) * done

    def with_steps(self, step: int, steps: int) -> StagePlan:
        """The same stage, ending after `steps` steps instead, seen from `step`."""
        return replace(self, steps=steps, anchor_step=step, anchor_progress=self.progress(step))

    def continued(self, steps: int, deadline_s: float | None) -> StagePlan:
        """The stage once more, after its end, for `steps` further steps, from GO_ON_AT of its progress."""
        end = self.steps
        return replace(self, steps=end + steps, deadline_s=deadline_s, anchor_step=end, anchor_progress=GO_ON_AT)

    def validates_after(self, step: int) -> bool:
        """Whether the weights after `step` steps are candidates for the export."""
        return self.validate_every > 0 and (step % self.validate_every == 0 or step == self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `StagePlan(**values)` reads them back."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StageLength:
    """What a method wants of a stage.

    epochs: its share of epochs or minutes that are asked for, in proportion to the other stages'. steps: how many it
    takes where nobody says how long. most_steps: from how many on it makes nothing better; None without a limit.
    """

    epochs: int
    steps: int
    most_steps: int | None = None


def lr_factor(progress: float, steps: int, warmup: float | None = None, decays: float = 0.0) -> float:
    """The learning rate's factor at `progress` in [0, 1) of a stage: linear warm-up, then cosine to 0.

    Args: warmup: share of the steps, None for WARMUP_SHARE. decays: how often in the stage the rate falls to a tenth,
        at even distances, instead of the cosine: 1.5 lets it fall after two thirds.
    """
    share = WARMUP_SHARE if warmup is None else warmup
    rise = min(1.0, (progress * steps + 1) / max(1.0, share * steps))
    fall = 0.1 ** int(progress * decays + 1e-9) if decays else 0.5 * (1 + math.cos(math.pi * progress))
    return rise * fall


def stage_shares(lengths: Sequence[StageLength]) -> list[float]:
    """Each stage's share of the whole, in proportion to the method's own epochs; sums to 1."""
    total = sum(length.epochs for length in lengths)
    return [length.epochs / total for length in lengths]


def split_steps(total: int, shares: Sequence[float]) -> list[int]:
    """`total` steps split by `shares`, at least one each that is not 0; the rounding falls on the last stage."""
    steps = [max(1, round(total * share)) if share else 0 for share in shares[:-1]]
    return [*steps, max(1, total - sum(steps))]


def validation_interval(steps: int, steps_per_epoch: int, most: int) -> int:
    """Steps between validations: whole epochs, at most `most` validations in the stage; 0 when `most` is 0."""
    if most < 1:
        return 0
    return steps_per_epoch * max(1, math.ceil(steps / (steps_per_epoch * most)))


def stage_budget_s(total_s: float, used_s: float, export_s: float, shares: Sequence[float]) -> float:
    """Seconds for the stage of `shares[0]`, when the stages of `shares` share what is left.

    Of `total_s`, `used_s` are gone and `export_s` are needed after the last stage.
    """
    left = total_s * (1 - TIME_MARGIN) - used_s - export_s
    return max(0.0, left * shares[0] / sum(shares))


def steps_within(budget_s: float, step_s: float, validation_s: float, validations: int) -> int:
    """How many steps of `step_s` fit `budget_s` next to `validations` of `validation_s`; at least 1."""
    return max(1, int((budget_s - validation_s * validations) / max(step_s, 1e-9)))


def corrected_steps(
    plan: StagePlan, step: int, now_s: float, step_s: float, validation_s: float, total_s: float
) -> int | None:
    """The number of steps that meets the plan's deadline after all, or None while the present number will do.

    `step` steps are done at `now_s`; one takes `step_s` and a validation `validation_s`. `total_s` is the time asked
    for, the scale that decides whether a forecast is wrong enough to act.
    """
    if plan.deadline_s is None or step >= plan.steps:
        return None
    every = plan.validate_every
    cost_s = step_s + (validation_s / every if every else 0.0)
    late_s = now_s + (plan.steps - step) * cost_s - plan.deadline_s
    if -SLACK * total_s <= late_s <= OVERTIME * total_s:
        return None
    return step + max(1, int((plan.deadline_s - now_s) / max(cost_s, 1e-9)))
