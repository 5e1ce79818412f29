"""From which score on whole tasks can be accepted without a look: what people made of those that they did look at.

Pure computing over the ledger's rows. A task is right where a person would have had nothing to do: each object was left
as it was or changed by next to nothing (IoU 0.8), and none was added or deleted. It is as certain as its least certain
object.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backend.reports.agreement import is_reviewed
from backend.reports.scores import ACCEPTED_IOU, Z_90_ONE_SIDED, Judged, RiskPoint, risk_curve
from backend.storage.ledger_rows import Fate, LedgerRow, ObjectRow
from backend.wording import counted, percent, short_name


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What may be accepted of `version`'s predictions. tasks: that people have judged, with a score for each object.

    threshold: the lowest score from which on the share of tasks that are not right is at most the risk that was asked
    for, even at the upper end of its one-sided 90 % interval; None where there is no such score. audited: tasks with
    such a score that were kept for people, who have judged them; audited_wrong: those that they found not right.
    """

    version: str
    tasks: int
    threshold: RiskPoint | None
    audited: int
    audited_wrong: int
    sentence: str


def acceptance(rows: Sequence[LedgerRow], version: str, risk: float, is_audited: Callable[[int], bool]) -> Acceptance:
    """Args: risk: share of tasks that may be wrong, in (0, 1). is_audited: whether a task is kept for people."""
    found = [(row.task, judged) for row in rows if row.version == version and (judged := judged_task(row))]
    curve = risk_curve(sorted(judged for _, judged in found)) if found else []
    chosen = next((point for point in curve if point.risk_high <= risk), None)
    audits = [right for task, (score, right) in found if chosen and score >= chosen.threshold and is_audited(task)]
    sentence = _sentence(version, len(found), chosen, risk)
    return Acceptance(version, len(found), chosen, len(audits), audits.count(False), sentence)


def judged_task(row: LedgerRow) -> Judged | None:
    """Return the score of a task's least certain predicted object, and whether the task is right.

    None where nobody has judged its prediction, or where that showed nothing, or an object without a score.
    """
    scores = [each.score for each in row.objects if each.fate != Fate.ADDED]
    known = [float(score) for score in scores if score is not None and math.isfinite(score)]
    if not is_reviewed(row) or not known or len(known) < len(scores):
        return None
    return min(known), all(map(_is_right, row.objects))


def _is_right(each: ObjectRow) -> bool:
    if each.fate == Fate.ACCEPTED:
        return True
    ious = [iou for iou in (each.box_iou, each.mask_iou) if iou is not None]
    return each.fate == Fate.EDITED and each.mistake is None and bool(ious) and min(ious) >= ACCEPTED_IOU


def _sentence(version: str, tasks: int, chosen: RiskPoint | None, risk: float) -> str:
    judged = f"People have judged {counted(tasks, 'task')} that {short_name(version)} predicted"
    if chosen is None:
        least = math.ceil(Z_90_ONE_SIDED**2 * (1 - risk) / risk)
        return (
            f"{judged}; they show no score from which on at most {percent(risk)} would be wrong. It takes {least} "
            "tasks without any mistake, and more with some: correct further ones, or allow a larger --risk."
        )
    return (
        f"{judged}. From a score of {chosen.threshold:g} on, {percent(chosen.risk)} of {chosen.objects} were wrong, at "
        f"most {percent(chosen.risk_high)} at 90 % confidence."
    )
