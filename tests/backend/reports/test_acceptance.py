"""From which score on whole tasks are safe to accept, by what people made of those that they judged."""

from __future__ import annotations

import pytest

from backend.reports.acceptance import acceptance, judged_task
from backend.storage.ledger_rows import Fate, LedgerRow, ObjectRow, Outcome
from wsol_core.evaluation.mistakes import MistakeKind

VERSION = "boxstrap-7-0003"
LEFT = ObjectRow("fish", Fate.ACCEPTED, 1.0, None, 0.9)


def row(task: int, *objects: ObjectRow, version: str = VERSION) -> LedgerRow:
    accepted = all(each.fate == Fate.ACCEPTED for each in objects)
    return LedgerRow(task, Outcome.ACCEPTED if accepted else Outcome.CORRECTED, ("fish",), version, 0.9, objects)


@pytest.mark.parametrize(
    ("change", "right"),
    [
        (ObjectRow("fish", Fate.ACCEPTED, 1.0, 1.0, 0.7), True),
        (ObjectRow("fish", Fate.EDITED, 0.85, None, 0.7), True),
        (ObjectRow("fish", Fate.EDITED, 0.85, 0.6, 0.7), False),
        (ObjectRow("bird", Fate.EDITED, 1.0, None, 0.7, MistakeKind.WRONG_CLASS), False),
        (ObjectRow("fish", Fate.DELETED, None, None, 0.7), False),
    ],
)
def test_a_task_is_right_where_nothing_had_to_be_done_and_as_certain_as_its_least_certain_object(
    change: ObjectRow, right: bool
) -> None:
    assert judged_task(row(1, LEFT, change)) == (0.7, right)


def test_an_object_that_was_missed_makes_a_task_wrong_though_it_has_no_score() -> None:
    assert judged_task(row(1, LEFT, ObjectRow("fish", Fate.ADDED))) == (0.9, False)
    assert judged_task(row(1, ObjectRow("fish", Fate.ADDED))) is None


def test_the_threshold_is_the_lowest_score_whose_risk_is_small_for_certain() -> None:
    wrong = ObjectRow("fish", Fate.DELETED, None, None, 0.4)
    rows = [row(task, LEFT) for task in range(20)] + [row(task, wrong) for task in range(20, 24)]
    rows += [row(30, wrong, version="boxstrap-7-0002")]
    found = acceptance(rows, VERSION, 0.1, lambda task: task < 5)
    assert found.threshold is not None and (found.threshold.threshold, found.threshold.objects) == (0.9, 20)
    assert (found.tasks, found.audited, found.audited_wrong) == (24, 5, 0)
    assert "From a score of 0.9 on, 0 % of 20 were wrong" in found.sentence
    none = acceptance(rows, VERSION, 0.02, lambda task: False)
    assert none.threshold is None and "It takes 81 tasks without any mistake" in none.sentence
    assert acceptance([], VERSION, 0.02, lambda task: False).tasks == 0
