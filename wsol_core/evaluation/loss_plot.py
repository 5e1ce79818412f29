"""Loss curves as inline SVG, from the lines of a training's history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from wsol_core.evaluation.svg import Axes, round_up

COLOURS = "eabcdhfg"  # classes of page.css
SMOOTHING = 0.8
LARGEST = 1e12  # of a loss that can be drawn; none where a training went astray

Curve = list[tuple[float, float]]  # (logged step, value)


def loss_curves(history: Sequence[Mapping[str, Any]]) -> str:
    """One curve a loss term over all logged steps, smoothed; a sentence where nothing was logged.

    Each line of `history` needs `stage` and `losses`, a name -> value mapping; stages follow each other.
    """
    logged = [line for line in history if isinstance(line.get("losses"), Mapping)]
    curves: dict[str, Curve] = defaultdict(list)
    for step, line in enumerate(logged):
        for name, value in line["losses"].items():
            if isinstance(value, int | float) and abs(value) < LARGEST:
                curves[name].append((step, float(value)))
    if not curves:
        return "<p>No losses were logged.</p>"
    smooth = {name: _smoothed(curve) for name, curve in curves.items()}
    top = round_up(max(value for curve in smooth.values() for _, value in curve))
    axes = Axes(max(1, len(logged) - 1), top, width=560, height=260, right=8, top=10, bottom=24)
    parts = axes.grid((0.0, top / 2, top), lambda value: f"{value:.2g}") + _stages(logged, axes)
    legend = []
    for index, (name, curve) in enumerate(smooth.items()):
        colour = COLOURS[index % len(COLOURS)] + (" again" if index >= len(COLOURS) else "")
        parts.append(f'<path class="line {colour}" d="M{axes.points(curve)}"/>')
        legend.append(f'<span class="entry"><i class="key {colour}"></i>{escape(name)}</span> ')
    return f'{axes.picture("training losses", parts)}<p class="muted">{"".join(legend)}</p>'


def _stages(logged: Sequence[Mapping[str, Any]], axes: Axes) -> list[str]:
    """A dashed line where each stage begins, with its name."""
    parts, before = [], None
    for step, line in enumerate(logged):
        if line.get("stage", "") != before:
            before, x = line.get("stage", ""), axes.x(step)
            is_late = x > 0.85 * axes.width  # its name would be cut off at the right
            beside = f'x="{x - 4:.1f}" text-anchor="end"' if is_late else f'x="{x + 4:.1f}"'
            parts.append(
                f'<path class="border" d="M{x:.1f} {axes.top}V{axes.height - axes.bottom}"/>'
                f'<text class="tick" {beside} y="{axes.height - 8}">{escape(str(before))}</text>'
            )
    return parts


def _smoothed(curve: Curve) -> Curve:
    """An exponential moving average, so that single batches do not hide the course."""
    result: Curve = []
    for step, value in curve:
        before = result[-1][1] if result else value
        result.append((step, SMOOTHING * before + (1 - SMOOTHING) * value))
    return result
