"""Rows of the ledger, as short as they can be told."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
FIRST, SECOND = "boxstrap-7-0001", "boxstrap-7-0002"


def region(fate: str, iou: float | None = None, score: float | None = None, **values: Any) -> Json:
    """A box of a fish; an accepted one has an IoU of 1."""
    own = 1.0 if fate == "accepted" else iou
    return {"label": "fish", "kind": "rectanglelabels", "fate": fate, "iou": own, "score": score, **values}


def row(task: int, *regions: Json, **values: Any) -> Json:
    """A task of the class fish that began from the first version; accepted if all its regions are."""
    outcome = "accepted" if all(each["fate"] == "accepted" for each in regions) else "corrected"
    return {
        "task": task,
        "outcome": outcome,
        "labels": ["fish"],
        "version": FIRST,
        "score": None,
        "regions": list(regions),
        "lead_time_s": None,
        "annotator": 1,
        "annotation": task,
        "doubt": None,
        "digest": str(task),
        "changed": 0.0,
        **values,
    }


def scored() -> list[Json]:
    """Twenty tasks, with a region of each of the scores 0.05, 0.10, ... 1.00; those below 0.3 were wrong."""
    wrong = [
        region("deleted", score=0.05),
        region("edited", 0.49, 0.1),
        *(region("deleted", score=n / 20) for n in (3, 4, 5)),
    ]
    right = [region("edited", 0.5, 0.3), *(region("accepted", score=n / 20) for n in range(7, 21))]
    return [row(number, each) for number, each in enumerate([*wrong, *right], 1)]
