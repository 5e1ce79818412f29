"""Loss curves as inline SVG, from the lines of a training's history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM = 560, 260, 44, 24
COLOURS = ("#3b82f6", "#d6336c", "#2f9e77", "#f08c00", "#7c3aed", "#0ca5b8", "#888888", "#a16207")
SMOOTHING = 0.8


def loss_curves(history: Sequence[Mapping[str, Any]]) -> str:
    """One curve a loss term over all logged steps, smoothed; a sentence where nothing was logged.

    Each line of `history` needs `stage` and `losses`, a name -> value mapping; stages follow each other.
    """
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    borders: list[tuple[int, str]] = []
    for place, line in enumerate(line for line in history if isinstance(line.get("losses"), Mapping)):
        if not borders or borders[-1][1] != line["stage"]:
            borders.append((place, line["stage"]))
        for name, value in line["losses"].items():
            points[name].append((place, float(value)))
    if not points:
        return "<p>No losses were logged.</p>"
    last = max(place for curve in points.values() for place, _ in curve) or 1
    smooth = {name: _smoothed(curve) for name, curve in points.items()}
    top = max(value for curve in smooth.values() for _, value in curve) or 1.0

    def x(place: int) -> float:
        return LEFT + (WIDTH - LEFT - 8) * place / last

    def y(value: float) -> float:
        return (HEIGHT - BOTTOM) - (HEIGHT - BOTTOM - 10) * value / top

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="training losses">']
    parts += [
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.0f}" text-anchor="end" font-size="11" fill="currentColor">'
        f"{value:.2g}</text>"
        f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - 8}" stroke="currentColor" opacity=".15"/>'
        for value in (0.0, top / 2, top)
    ]
    parts += [
        f'<path d="M{x(place):.1f} 10V{HEIGHT - BOTTOM}" stroke="currentColor" opacity=".3" stroke-dasharray="3 3"/>'
        f'<text x="{x(place) + 4:.1f}" y="{HEIGHT - 8}" font-size="11" fill="currentColor">{escape(stage)}</text>'
        for place, stage in borders
    ]
    for index, (_, curve) in enumerate(smooth.items()):
        path = "L".join(f"{x(place):.1f} {y(value):.1f}" for place, value in curve)
        parts.append(f'<path d="M{path}" fill="none" stroke="{COLOURS[index % len(COLOURS)]}" stroke-width="1.6"/>')
    legend = " ".join(
        f'<i style="background:{COLOURS[index % len(COLOURS)]}"></i>&nbsp;{escape(name)}'
        for index, name in enumerate(smooth)
    )
    return "".join(parts) + f"</svg><p>{legend}</p>"


def _smoothed(curve: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """An exponential moving average, so that single batches do not hide the course."""
    result: list[tuple[int, float]] = []
    for place, value in curve:
        before = result[-1][1] if result else value
        result.append((place, SMOOTHING * before + (1 - SMOOTHING) * value))
    return result
