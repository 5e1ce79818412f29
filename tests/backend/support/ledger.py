"""Rows of the ledger, as short as they can be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backend.storage.ledger_rows import Fate, LedgerRow, ObjectRow, Outcome

FIRST, SECOND = "boxstrap-7-0001", "boxstrap-7-0002"


def an_object(fate: str, box_iou: float | None = None, score: float | None = None, **values: Any) -> ObjectRow:
    """A fish with a box; an accepted one has an IoU of 1."""
    own = 1.0 if fate == "accepted" else box_iou
    return replace(ObjectRow("fish", Fate(fate), own, None, score), **values)


def row(task: int, *objects: ObjectRow, outcome: str = "", **values: Any) -> LedgerRow:
    """A task of the class fish that began from the first version; accepted if all its objects are."""
    outcome = outcome or ("accepted" if all(each.fate == Fate.ACCEPTED for each in objects) else "corrected")
    known = LedgerRow(task, Outcome(outcome), ("fish",), FIRST, None, objects, None, 1, task, str(task))
    return replace(known, **values)


def scored() -> list[LedgerRow]:
    """Twenty tasks, with an object of each of the scores 0.05, 0.10, ... 1.00; those below 0.3 were wrong."""
    wrong = [
        an_object("deleted", score=0.05),
        an_object("edited", 0.49, 0.1),
        *(an_object("deleted", score=n / 20) for n in (3, 4, 5)),
    ]
    right = [an_object("edited", 0.5, 0.3), *(an_object("accepted", score=n / 20) for n in range(7, 21))]
    return [row(number, each) for number, each in enumerate([*wrong, *right], 1)]
