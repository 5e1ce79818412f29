"""Rows of the ledger, as short as they can be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backend.storage.ledger_rows import LedgerRow, Outcome, RegionFate, RegionRow

FIRST, SECOND = "boxstrap-7-0001", "boxstrap-7-0002"


def region(fate: str, iou: float | None = None, score: float | None = None, **values: Any) -> RegionRow:
    """A box of a fish; an accepted one has an IoU of 1."""
    own = 1.0 if fate == "accepted" else iou
    return replace(RegionRow("fish", "rectanglelabels", RegionFate(fate), own, score), **values)


def row(task: int, *regions: RegionRow, outcome: str = "", **values: Any) -> LedgerRow:
    """A task of the class fish that began from the first version; accepted if all its regions are."""
    outcome = outcome or ("accepted" if all(each.fate == RegionFate.ACCEPTED for each in regions) else "corrected")
    known = LedgerRow(task, Outcome(outcome), ("fish",), FIRST, None, regions, None, 1, task, str(task))
    return replace(known, **values)


def scored() -> list[LedgerRow]:
    """Twenty tasks, with a region of each of the scores 0.05, 0.10, ... 1.00; those below 0.3 were wrong."""
    wrong = [
        region("deleted", score=0.05),
        region("edited", 0.49, 0.1),
        *(region("deleted", score=n / 20) for n in (3, 4, 5)),
    ]
    right = [region("edited", 0.5, 0.3), *(region("accepted", score=n / 20) for n in range(7, 21))]
    return [row(number, each) for number, each in enumerate([*wrong, *right], 1)]
