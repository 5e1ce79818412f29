"""Measure what a object's score is worth: risk and coverage of every threshold, and calibration.

Pure computing over the ledger's rows; what people made of the objects is counted in agreement.py.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from backend.reports.agreement import is_reviewed, percent_text, ratio
from backend.storage.ledger_rows import Fate, LedgerRow

LEAST_OBJECTS = 20
RIGHT_IOU = 0.5  # a person changed less than that: the object was in the right place
ACCEPTED_IOU = 0.8  # nothing worth a touch was changed, which is what a score foretells
Z_90_ONE_SIDED = NormalDist().inv_cdf(0.9)
MOST_POINTS = 100  # of a curve
BINS = 5

Judged = tuple[float, bool]  # a predicted object's score, and whether it was right


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """With only the `objects` of at least this score, the `coverage` (share of all) is left, and the `risk` is run.

    Risk is the share of those objects that were wrong; `risk_high` is the upper end of its one-sided 90 % interval.
    """

    threshold: float
    objects: int
    coverage: float
    risk: float
    risk_high: float


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """Objects whose scores are in [`low`, `high`), and in the last bin 1.0 too.

    `right`: the share that people left as it was, or nearly so; `right_low`, `right_high`: its 80 % interval.
    """

    low: float
    high: float
    objects: int
    mean_score: float
    right: float
    right_low: float
    right_high: float


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """Of the objects of `version` (None: of all versions). Curve, bins and error are empty while there are too few.

    `unjudged` objects have no score, or were edited in a way that nobody could measure. `threshold` is the lowest
    point whose `risk_high` is at most `target_risk`. `calibration_error` is the mean gap of score and share right.
    """

    version: str | None
    objects: int
    unjudged: int
    target_risk: float
    threshold: RiskPoint | None
    sentence: str
    command: str
    curve: list[RiskPoint] = field(default_factory=list)
    bins: list[ScoreBin] = field(default_factory=list)
    calibration_error: float | None = None


def score_report(rows: Sequence[LedgerRow], project: str, live: str | None, target_risk: float) -> ScoreReport:
    """Report on the live version if enough of its objects were judged, else on all versions together."""
    reviewed = [row for row in rows if is_reviewed(row)]
    own = [row for row in reviewed if row.version == live]
    version = live if len(_judged(own)) >= LEAST_OBJECTS else None
    used = own if version is not None else reviewed
    judged = _judged(used)
    predicted = sum(each.fate != Fate.ADDED for row in used for each in row.objects)
    unjudged = predicted - len(judged)
    if len(judged) < LEAST_OBJECTS:
        missing = f"No threshold can be recommended yet: people have judged {len(judged)} objects with a score"
        sentence = f"{missing}; {LEAST_OBJECTS} are needed."
        return ScoreReport(version, len(judged), unjudged, target_risk, None, sentence, "")
    curve = risk_curve(judged)
    chosen = next((point for point in curve if point.risk_high <= target_risk), None)
    sentence, command = _advice(chosen, project, target_risk)
    bins = reliability(_judged(used, ACCEPTED_IOU))
    return ScoreReport(
        version=version,
        objects=len(judged),
        unjudged=unjudged,
        target_risk=target_risk,
        threshold=chosen,
        sentence=sentence,
        command=command,
        curve=_thinned(curve, chosen),
        bins=bins,
        calibration_error=ratio(sum(each.objects * abs(each.mean_score - each.right) for each in bins), len(judged)),
    )


def _judged(rows: Iterable[LedgerRow], least_iou: float = RIGHT_IOU) -> list[Judged]:
    """Return predicted objects by score, lowest first. Deleted ones and those moved further are wrong."""
    found = []
    for each in (each for row in rows for each in row.objects):
        iou = each.mask_iou if each.box_iou is None else each.box_iou
        iou = 0.0 if each.fate == Fate.DELETED else iou
        if each.score is not None and math.isfinite(each.score) and iou is not None:  # an added object has no IoU
            found.append((float(each.score), iou >= least_iou))
    return sorted(found)


def risk_curve(judged: Sequence[Judged]) -> list[RiskPoint]:
    """Return a point for every score, lowest first. Args: judged: by score."""
    scores = [score for score, _ in judged]
    wrong_from = [0]  # wrong_from[n]: how many of the n highest are wrong
    for _, right in reversed(judged):
        wrong_from.append(wrong_from[-1] + (not right))
    points = []
    for threshold in sorted({_floor(score) for score in scores}):
        objects = len(scores) - bisect.bisect_left(scores, threshold)
        wrong = wrong_from[objects]
        points.append(
            RiskPoint(
                threshold,
                objects,
                round(objects / len(scores), 4),
                round(wrong / objects, 4),
                round(wilson(wrong, objects)[1], 4),
            )
        )
    return points


def _floor(score: float) -> float:
    """Round down to four digits: a threshold that people type still lets its own object through."""
    rounded = round(score, 4)
    return rounded if rounded <= score else round(rounded - 1e-4, 4)


def wilson(count: int, total: int, z: float = Z_90_ONE_SIDED) -> tuple[float, float]:
    """Return Wilson's score interval of the share `count` of `total`, which is not 0; Wilson, JASA 22 (1927).

        centre = (p + z² / 2n) / (1 + z² / n),  half = z √(p (1 - p) / n + z² / 4n²) / (1 + z² / n)

    Each end alone is a one-sided limit; z = 1.2816 makes it one of 90 %, and both together an interval of 80 %.
    """
    share, spread = count / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def _advice(chosen: RiskPoint | None, project: str, target: float) -> tuple[str, str]:
    """Return a sentence, and the command that does what it says; "" if nothing is to be done."""
    if chosen is None:
        return f"No threshold brings the risk below {target:g}: wrong objects have high scores, too.", ""
    if chosen.coverage == 1:
        return (
            f"No threshold is needed: of all predicted objects {percent_text(chosen.risk)} were wrong "
            f"(at most {percent_text(chosen.risk_high)}, at 90 % confidence).",
            "",
        )
    risk, most, coverage = (percent_text(share) for share in (chosen.risk, chosen.risk_high, chosen.coverage))
    return (
        f"From a score of {chosen.threshold:g} on, {risk} of the objects were wrong (at most {most}, at 90 % "
        f"confidence); {coverage} of all objects have such a score. Below the threshold the model abstains.",
        f"boxstrap policy {project} --score-threshold {chosen.threshold:g}",
    )


def _thinned(curve: Sequence[RiskPoint], chosen: RiskPoint | None) -> list[RiskPoint]:
    """Return few enough points to draw and send; both ends and the chosen point stay."""
    if len(curve) <= MOST_POINTS:
        return list(curve)
    step = (len(curve) - 1) / (MOST_POINTS - 1)
    kept = {round(number * step) for number in range(MOST_POINTS)}
    return [point for index, point in enumerate(curve) if index in kept or point is chosen]


def reliability(judged: Sequence[Judged]) -> list[ScoreBin]:
    """Return bins of equal width over [0, 1], without those that have no object."""
    members: dict[int, list[Judged]] = {}
    for score, right in judged:
        members.setdefault(min(BINS - 1, max(0, int(score * BINS))), []).append((score, right))
    found = []
    for index in sorted(members):
        own = members[index]
        count = sum(right for _, right in own)
        low, high = wilson(count, len(own))
        found.append(
            ScoreBin(
                low=index / BINS,
                high=(index + 1) / BINS,
                objects=len(own),
                mean_score=round(sum(score for score, _ in own) / len(own), 4),
                right=round(count / len(own), 4),
                right_low=round(low, 4),
                right_high=round(high, 4),
            )
        )
    return found
