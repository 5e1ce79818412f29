"""Count from the ledger's rows how much of a model's work people kept, and how long their own took.

Pure computing. What scores are worth is computed in scores.py; storage/feedback.py keeps the rows.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from backend.storage.ledger_rows import Fate, LedgerRow, ObjectRow, Outcome
from backend.storage.models import is_untrained
from wsol_core.evaluation.mistakes import MistakeKind

EDITS = (Fate.EDITED, Fate.DELETED, Fate.ADDED)
MOST_DOUBTS = 50
LEAST_TIMES = 5  # tasks of each group, before their times are compared
OUTLIER = 10  # lead times above so many medians are of tabs that were left open


@dataclass(frozen=True, slots=True)
class Agreement:
    """What people did with predictions. Shares and IoUs are in [0, 1], and None where nothing was counted.

    `tasks` were accepted or corrected; `objects` are predicted ones, whose box and masks count as one. `mistakes` are
    counted by the kinds of `boxstrap evaluate`: predicted objects, and added ones for what was missed. `box_iou` and
    `mask_iou` are means over the `boxes` and `masks` that were kept, as they were predicted or edited: a deleted
    object has no IoU.
    """

    tasks: int
    accepted_tasks: int
    task_acceptance: float | None
    objects: int
    accepted_objects: int
    object_acceptance: float | None
    edits_per_task: dict[str, float | None]
    mistakes: dict[str, int]
    boxes: int
    box_iou: float | None
    masks: int
    mask_iou: float | None


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that a group of tasks took. `left_out` were too long for `mean_s`; `low_s` and `high_s` are quartiles."""

    tasks: int
    median_s: float | None = None
    mean_s: float | None = None
    left_out: int = 0
    low_s: float | None = None
    high_s: float | None = None


@dataclass(frozen=True, slots=True)
class LabellingTime:
    """With and without a prediction to begin from; `minutes_saved` below zero were lost, None are unknown yet."""

    with_prediction: Times
    without: Times
    minutes_saved: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A picture and its class disagree: by the model's `probability` of `seen`, or since a person deleted all of it."""

    task: int
    given: list[str] = field(default_factory=list)
    seen: str | None = None
    probability: float | None = None


def version_of(row: LedgerRow) -> str | None:
    """Return the version whose prediction a person began from; None for the empty ones before the first training."""
    return None if is_untrained(row.version) else row.version


def is_reviewed(row: LedgerRow) -> bool:
    """Return whether a person has judged a version's prediction."""
    return version_of(row) is not None and row.outcome in (Outcome.ACCEPTED, Outcome.CORRECTED)


def agreement(rows: Iterable[LedgerRow]) -> Agreement:
    """Return the agreement over those `rows` that were reviewed."""
    reviewed = [row for row in rows if is_reviewed(row)]
    return _agreement([(row.outcome == Outcome.ACCEPTED, row.objects) for row in reviewed])


def by_class(rows: Iterable[LedgerRow]) -> dict[str | None, Agreement]:
    """Return the agreement of each class, by name; None: objects without one. A task counts for all its classes."""
    cases: dict[str | None, list[tuple[bool, Sequence[ObjectRow]]]] = {}
    for row in rows:
        if is_reviewed(row):
            for label, objects in _of_classes(row).items():
                accepted = [each.fate == Fate.ACCEPTED for each in objects]
                kept = all(accepted) if accepted else row.outcome == Outcome.ACCEPTED
                cases.setdefault(label, []).append((kept, objects))
    return {label: _agreement(cases[label]) for label in sorted(cases, key=lambda label: (label is None, label or ""))}


def _of_classes(row: LedgerRow) -> dict[str | None, list[ObjectRow]]:
    """Return the row's objects by class; in a picture of one class, an object without a class is of that one."""
    labels = list(row.labels)
    found: dict[str | None, list[ObjectRow]] = {label: [] for label in labels}
    for each in row.objects:
        label = labels[0] if each.label is None and len(labels) == 1 else each.label
        found.setdefault(label, []).append(each)
    return found


def _agreement(cases: Sequence[tuple[bool, Sequence[ObjectRow]]]) -> Agreement:
    """Args: cases: of each task, whether it was accepted untouched, and its objects."""
    objects = [each for _, own in cases for each in own]
    predicted = [each for each in objects if each.fate != Fate.ADDED]
    kept = [each for each in predicted if each.fate != Fate.DELETED]
    boxes = [each.box_iou for each in kept if each.box_iou is not None]
    masks = [each.mask_iou for each in kept if each.mask_iou is not None]
    accepted_tasks = sum(accepted for accepted, _ in cases)
    accepted = sum(each.fate == Fate.ACCEPTED for each in predicted)
    return Agreement(
        tasks=len(cases),
        accepted_tasks=accepted_tasks,
        task_acceptance=ratio(accepted_tasks, len(cases)),
        objects=len(predicted),
        accepted_objects=accepted,
        object_acceptance=ratio(accepted, len(predicted)),
        edits_per_task={fate: ratio(sum(each.fate == fate for each in objects), len(cases)) for fate in EDITS},
        mistakes={kind: sum(each.mistake == kind for each in objects) for kind in MistakeKind},
        boxes=len(boxes),
        box_iou=ratio(sum(boxes), len(boxes)),
        masks=len(masks),
        mask_iou=ratio(sum(masks), len(masks)),
    )


def labelling_time(rows: Sequence[LedgerRow]) -> LabellingTime:
    """Compare tasks in which people judged a prediction with those in which they drew without one."""
    helped = _times([row.lead_time_s for row in rows if is_reviewed(row)])
    unhelped = _times([row.lead_time_s for row in rows if is_drawn(row)])
    if min(helped.tasks, unhelped.tasks) < LEAST_TIMES or helped.median_s is None or unhelped.median_s is None:
        return LabellingTime(
            helped,
            unhelped,
            None,
            f"Saved time cannot be known yet: {_tasks(helped.tasks)} with a prediction and {unhelped.tasks} drawn "
            f"without one have a time; {LEAST_TIMES} of each are needed.",
        )
    saved = round((unhelped.median_s - helped.median_s) * helped.tasks / 60, 1)
    verb = "saved" if saved >= 0 else "lost"
    return LabellingTime(
        helped,
        unhelped,
        saved,
        f"About {abs(saved):.0f} minutes {verb}: the median task took {helped.median_s:g} s with a prediction and "
        f"{unhelped.median_s:g} s without, over {_tasks(helped.tasks)}.",
    )


def is_drawn(row: LedgerRow) -> bool:
    """Return whether a person drew without a prediction; objects of a deleted one still say what became of them."""
    fates = {each.fate for each in row.objects}
    return row.outcome == Outcome.CORRECTED and version_of(row) is None and fates == {Fate.ADDED}


def _tasks(count: int) -> str:
    return f"{count} task" if count == 1 else f"{count} tasks"


def _times(lead_times: Iterable[float | None]) -> Times:
    found = sorted(time for time in lead_times if time is not None and time > 0 and math.isfinite(time))
    if not found:
        return Times(0)
    median = statistics.median(found)
    low, _, high = statistics.quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
    believed = [time for time in found if time <= OUTLIER * median]
    return Times(
        tasks=len(found),
        median_s=round(median, 1),
        mean_s=round(statistics.fmean(believed), 1),
        left_out=len(found) - len(believed),
        low_s=round(low, 1),
        high_s=round(high, 1),
    )


def doubts(rows: Sequence[LedgerRow]) -> list[Doubt]:
    """Return tasks whose class may be wrong: most probable first, then those where people deleted all of a class."""
    said = [
        Doubt(row.task, list(doubt.given), doubt.seen, round(doubt.probability, 4))
        for row in rows
        if (doubt := row.doubt) and doubt.seen not in row.labels  # else a person has come round to it
    ]
    deleted = [  # the picture is said to show the class, and a person left nothing of it
        Doubt(row.task, gone)
        for row in rows
        if is_reviewed(row) and (gone := [label for label in row.labels if _all_deleted(_of_classes(row)[label])])
    ]
    told = {doubt.task for doubt in said}
    by_model = sorted(said, key=lambda doubt: (-(doubt.probability or 0.0), doubt.task))
    return by_model + sorted((doubt for doubt in deleted if doubt.task not in told), key=lambda doubt: doubt.task)


def _all_deleted(objects: Sequence[ObjectRow]) -> bool:
    return bool(objects) and all(each.fate == Fate.DELETED for each in objects)


def ratio(part: float, whole: float) -> float | None:
    """Return the share of `part` in `whole`, to four digits; None if `whole` is 0."""
    return round(part / whole, 4) if whole else None


def percent_text(share: float) -> str:
    """0.684 -> 68 %."""
    return f"{100 * share:.0f} %"
