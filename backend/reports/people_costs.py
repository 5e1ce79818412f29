"""What a region costs the people of a project, from the times that they took for their tasks. Pure computing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from backend.reports.agreement import OUTLIER, is_drawn, is_reviewed
from backend.storage.ledger_rows import Fate, LedgerRow
from wsol_core.localization.worth import Costs

LEAST_TASKS = 30
PRIOR_TASKS = 20.0  # tasks in which nothing else happened would move a published cost half of the way
WIDEST = 3.0  # times more or less than what was published, at the pace of the project's people

_VERIFIED = (Fate.ACCEPTED, Fate.EDITED, Fate.DELETED)


def people_costs(rows: Iterable[LedgerRow], published: Costs) -> Costs | None:
    """Costs of the project's own people; None before 30 tasks with a time were corrected or drawn.

    A task's time is taken as the sum of what its regions cost, and of looking at it. The pace of the people, the median
    of their times beside the published ones, scales all costs; then ridge regression on relative errors moves each cost
    as far as there are tasks that speak of it. A lead time above ten medians is of a tab that was left open.

    Args: rows: of the ledger. published: costs of such regions as others have measured them.

    Example:
        >>> people_costs(feedback.newest_reviewed("7", 500), BOX_COSTS)
        Costs(verify=2.1, adjust=8.0, delete=3.3, draw=11.2)
    """
    timed = [(row.lead_time_s, _counts(row)) for row in rows if is_reviewed(row) or is_drawn(row)]
    found = [(time, counts) for time, counts in timed if time is not None and 0 < time < math.inf and any(counts)]
    if len(found) < LEAST_TASKS:
        return None
    longest = OUTLIER * statistics.median(time for time, _ in found)
    believed = [(time, counts) for time, counts in found if time <= longest]
    times, counts = np.array([time for time, _ in believed]), np.array([counts for _, counts in believed], float)
    before = np.array([getattr(published, each.name) for each in fields(Costs)])
    before *= np.median(times / (counts @ before))
    return Costs(*(round(float(cost), 2) for cost in _fitted(times, counts, before)))


def _counts(row: LedgerRow) -> list[int]:
    """How often each cost was paid, in the order of the fields of Costs."""
    fates = [each.fate for each in row.objects]
    return [sum(map(fates.count, _VERIFIED)), *map(fates.count, (Fate.EDITED, Fate.DELETED, Fate.ADDED))]


def _fitted(
    times: NDArray[np.float64], counts: NDArray[np.float64], before: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The costs whose relative change explains the times best, where each change is held back by the prior's tasks."""
    expected = counts @ before
    looking = np.full((len(times), 1), before[0])  # at a task, whatever is in it; as long as a region's verification
    parts = np.hstack([counts * before, looking]) / expected[:, None]
    held = math.sqrt(PRIOR_TASKS) * np.eye(parts.shape[1])
    wanted = np.concatenate([times / expected - 1, np.zeros(parts.shape[1])])
    changes = np.linalg.lstsq(np.vstack([parts, held]), wanted, rcond=None)[0]
    fitted: NDArray[np.float64] = before * np.clip(1 + changes[:-1], 1 / WIDEST, WIDEST)
    return fitted
