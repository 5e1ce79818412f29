"""A plot's axes as inline SVG: values to pixels, grid lines with their numbers, and the frame around the parts.

Colours are the page's: grid lines have the class "grid", numbers beside the axes "tick".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Axes:
    """Values from 0 to `x_most` and `y_most` on a picture of `width` x `height` pixels with margins."""

    x_most: float = 1.0
    y_most: float = 1.0
    width: int = 520
    height: int = 250
    left: int = 56
    right: int = 14
    top: int = 14
    bottom: int = 40

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return self.left + (self.width - self.left - self.right) * value / self.x_most

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return self.height - self.bottom - (self.height - self.top - self.bottom) * value / self.y_most

    def points(self, values: Sequence[tuple[float, float]]) -> str:
        """(x, y) values as the points of an SVG path."""
        return path([(self.x(x), self.y(y)) for x, y in values])

    def grid(self, values: Sequence[float], shown: Callable[[float], str]) -> list[str]:
        """A horizontal line at each of the y `values`, named by `shown`."""
        return [
            f'<path class="grid" d="M{self.left} {self.y(value):.1f}H{self.width - self.right}"/>'
            f'<text class="tick" x="{self.left - 6}" y="{self.y(value) + 4:.1f}" text-anchor="end">'
            f"{shown(value)}</text>"
            for value in values
        ]

    def picture(self, title: str, parts: Sequence[str]) -> str:
        """The `<svg>` of all parts."""
        return svg(title, parts, self.width, self.height)


def svg(title: str, parts: Sequence[str], width: int, height: int) -> str:
    """The `<svg>` of all parts, which readers of a screen hear as `title`."""
    size = f'viewBox="0 0 {width} {height}"'
    return f'<svg class="plot" {size} role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def round_up(value: float) -> float:
    """The next number whose quarters are short, as the upper end of an axis."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if power * step >= value * (1 - 1e-9))


def path(points: Sequence[tuple[float, float]]) -> str:
    """Points in pixels, joined by straight lines, as an SVG path has them after its M."""
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
