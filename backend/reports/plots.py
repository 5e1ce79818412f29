"""The report page's plots as inline SVG. Colours are the page's: classes a, b and c are its three series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from statistics import NormalDist

from backend.reports.agreement import EDITS, LabellingTime
from backend.reports.formatting import lasting, number, percent
from backend.reports.report import VersionReport
from backend.reports.scores import RiskPoint, ScoreReport, wilson
from wsol_core.evaluation.svg import Axes, path, round_up, svg

SERIES: dict[str, str] = dict(zip(EDITS, "abc", strict=True))
WIDTH = 520
MOST_TICKS = 10  # names below an axis
Z_95 = NormalDist().inv_cdf(0.975)


def acceptance_plot(versions: Sequence[VersionReport]) -> str:
    """Shares of tasks and of objects that people accepted untouched, with 95 % intervals, version by version."""
    judged = [version for version in versions if version.agreement.tasks]
    axes = Axes(max(1, len(judged)))
    series = (
        ("a", "tasks", -5, [(each.agreement.accepted_tasks, each.agreement.tasks) for each in judged]),
        ("b", "objects", 5, [(each.agreement.accepted_objects, each.agreement.objects) for each in judged]),
    )
    parts = [*_share_grid(axes), *_names(judged, axes)]
    for kind, what, aside, counts in series:
        points = []
        for index, (accepted, total) in enumerate(counts):
            if total:
                at, share = axes.x(index + 0.5) + aside, accepted / total
                points.append((at, axes.y(share)))
                title = f"{judged[index].name}: {accepted} of {total} {what}, {percent(share)}"
                low, high = wilson(accepted, total, Z_95)
                parts.append(_range(at, axes.y(low), axes.y(high), kind))
                parts.append(_dot(at, axes.y(share), kind, title))
        parts.append(_line(points, kind))
    return axes.picture("Accepted untouched, by version", parts)


def edits_plot(versions: Sequence[VersionReport]) -> str:
    """Objects that people edited, deleted and added, per task, on top of each other."""
    judged = [version for version in versions if version.agreement.tasks]
    edits = [{fate: value or 0.0 for fate, value in each.agreement.edits_per_task.items()} for each in judged]
    most = round_up(max((sum(each.values()) for each in edits), default=0.0))
    axes = Axes(max(1, len(judged)), most)
    parts = [*axes.grid([most * part / 4 for part in range(5)], number), *_names(judged, axes)]
    wide = min(54.0, 0.6 * (axes.x(1) - axes.x(0)))
    for index, (version, each) in enumerate(zip(judged, edits, strict=True)):
        below = 0.0
        for fate, value in each.items():
            if value:
                top, bottom = axes.y(below + value), axes.y(below)
                parts.append(
                    f'<rect class="fill {SERIES[fate]}" x="{axes.x(index + 0.5) - wide / 2:.1f}" y="{top:.1f}" '
                    f'width="{wide:.1f}" height="{max(0.5, bottom - top - 1):.1f}">'
                    f"<title>{escape(version.name)}: {value:.2f} {fate} per task</title></rect>"
                )
            below += value
    return axes.picture("Edits per task, by version", parts)


def time_plot(found: LabellingTime) -> str:
    """Median and quartiles of the labelling time, with and without a prediction."""
    groups = [("with a prediction", found.with_prediction, "a"), ("without", found.without, "b")]
    groups = [group for group in groups if group[1].tasks]
    most = round_up(max((times.high_s or 0.0 for _, times, _ in groups), default=0.0))
    height, left = 28 + 62 * len(groups), 12
    scale = (WIDTH - 2 * left - 30) / most
    parts = []
    for index, (name, times, kind) in enumerate(groups):
        low, median, high = (left + (value or 0.0) * scale for value in (times.low_s, times.median_s, times.high_s))
        y = 34 + 62 * index
        parts.append(
            f'<text x="{left}" y="{y - 12}">{name}, {_count(times.tasks, "task")}: median '
            f'<tspan class="strong">{lasting(times.median_s)}</tspan></text>'
            f'<path class="grid" d="M{left} {y + 10}H{WIDTH - left}"/>'
            f'<rect class="fill {kind} pale" x="{low:.1f}" y="{y}" width="{max(2.0, high - low):.1f}" height="20">'
            f"<title>half of the tasks: {lasting(times.low_s)} to {lasting(times.high_s)}</title></rect>"
            f'<rect class="fill {kind}" x="{median - 2:.1f}" y="{y - 3}" width="4" height="26" rx="1"/>'
        )
    parts += [
        f'<text class="tick" x="{left + part * most / 4 * scale:.1f}" y="{height - 6}" text-anchor="middle">'
        f"{lasting(part * most / 4) if part else '0'}</text>"
        for part in range(5)
    ]
    return svg("Labelling time", parts, WIDTH, height)


def risk_plot(found: ScoreReport) -> str:
    """Risk against coverage, with the upper end of its interval, the target, and the threshold that meets it."""
    axes = Axes(1.0, _round_share_up(1.15 * max(found.target_risk, *(point.risk for point in found.curve))))
    y_of = [min(point.risk_high, axes.y_most) for point in found.curve]
    risk = [(axes.x(point.coverage), axes.y(point.risk)) for point in found.curve]
    upper = [(axes.x(point.coverage), axes.y(y)) for point, y in zip(found.curve, y_of, strict=True)]
    target = axes.y(found.target_risk)
    parts = [
        *axes.grid([axes.y_most * part / 4 for part in range(5)], percent),
        *_share_ticks(axes, "share of the objects that are kept"),
        f'<path class="fill a pale" d="M{path([*risk, *upper[::-1]])}Z"/>' if len(risk) > 1 else "",
        _line(risk, "a"),
        f'<path class="line b" stroke-dasharray="5 4" d="M{axes.left} {target:.1f}H{axes.width - axes.right}"/>',
        f'<text class="b" x="{axes.left + 6}" y="{target - 5:.1f}">target {percent(found.target_risk)}</text>',
        *(_dot(x, y, "a tiny", _risk_title(p)) for (x, y), p in zip(risk, found.curve, strict=True)),
    ]
    if found.threshold is not None and found.command:
        x, y = axes.x(found.threshold.coverage), axes.y(found.threshold.risk)
        anchor = "end" if found.threshold.coverage > 0.5 else "start"
        parts.append(_dot(x, y, "c big", _risk_title(found.threshold)))
        parts.append(
            f'<text class="strong" x="{x + (-10 if anchor == "end" else 10):.1f}" y="{y + 18:.1f}" '
            f'text-anchor="{anchor}">score {found.threshold.threshold:g}</text>'
        )
    return axes.picture("Coverage against risk", parts)


def reliability_plot(found: ScoreReport) -> str:
    """Share of right objects against the mean score of each bin, with 80 % intervals, and the line where both agree."""
    axes = Axes()
    parts = [*_share_grid(axes), *_share_ticks(axes, "mean score")]
    parts.append(
        f'<path class="line muted" stroke-dasharray="5 4" d="M{axes.left} {axes.y(0)}L{axes.x(1)} {axes.y(1)}"/>'
    )
    for each in found.bins:
        at = axes.x(min(1.0, max(0.0, each.mean_score)))
        parts.append(_range(at, axes.y(each.right_low), axes.y(each.right_high), "a"))
        title = f"{_count(each.objects, 'object')}, mean score {number(each.mean_score)}: {percent(each.right)} right"
        parts.append(_dot(at, axes.y(each.right), "a big", title))
    return axes.picture("Calibration of the scores", parts)


def _share_grid(axes: Axes) -> list[str]:
    return axes.grid((0.0, 0.25, 0.5, 0.75, 1.0), percent)


def _share_ticks(axes: Axes, name: str) -> list[str]:
    middle, below = (axes.left + axes.width - axes.right) / 2, axes.height - axes.bottom + 16
    ticks = [
        f'<text class="tick" x="{axes.x(value):.1f}" y="{below}" text-anchor="middle">{value:g}</text>'
        for value in (0, 0.25, 0.5, 0.75, 1)
    ]
    return [
        *ticks,
        f'<text class="tick" x="{middle:.0f}" y="{axes.height - 6}" text-anchor="middle">{escape(name)}</text>',
    ]


def _names(versions: Sequence[VersionReport], axes: Axes) -> list[str]:
    """Below the axis: the versions' numbers, some of them where there are many."""
    every = -(-len(versions) // MOST_TICKS) if versions else 1
    return [
        f'<text class="tick" x="{axes.x(index + 0.5):.1f}" y="{axes.height - axes.bottom + 18}" text-anchor="middle">'
        f"{escape(version.name.rpartition('-')[2][:8])}{' live' if version.live else ''}</text>"
        for index, version in enumerate(versions)
        if index % every == 0 or version.live
    ]


def _line(points: Sequence[tuple[float, float]], kind: str) -> str:
    return f'<path class="line {kind}" d="M{path(points)}"/>' if len(points) > 1 else ""


def _dot(x: float, y: float, kind: str, title: str) -> str:
    radius = 5.5 if "big" in kind else 2.0 if "tiny" in kind else 4.5
    return f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{escape(title)}</title></circle>'


def _range(x: float, low: float, high: float, kind: str) -> str:
    return f'<path class="line {kind} pale" d="M{x:.1f} {low:.1f}V{high:.1f}"/>'


def _risk_title(point: RiskPoint) -> str:
    return (
        f"score {point.threshold:g} and above: {_count(point.objects, 'object')} ({percent(point.coverage)}), "
        f"{percent(point.risk)} wrong, at most {percent(point.risk_high)}"
    )


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _round_share_up(value: float) -> float:
    """To a share whose quarters are whole percents."""
    step = 0.04 if value <= 0.4 else 0.2
    return min(1.0, step * math.ceil(value / step - 1e-9))
