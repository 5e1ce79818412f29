"""Format a report's values for people, on the terminal and on the page."""

from __future__ import annotations

import time

from backend.reports.agreement import percent_text

NOTHING = "-"


def percent(share: float | None) -> str:
    """0.684 -> 68 %."""
    return NOTHING if share is None else percent_text(share)


def number(value: float | None) -> str:
    """Two digits after the point."""
    return NOTHING if value is None else f"{value:.2f}"


def lasting(seconds: float | None) -> str:
    """8.4 s, 75 s, 2 min 40 s, 12 min, 3.5 h."""
    if seconds is None:
        return NOTHING
    if seconds < 120:
        return f"{round(seconds, 1 if seconds < 10 else None):g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def moment(seconds: float | None) -> str:
    """2026-11-21 13:05, in this machine's time."""
    return NOTHING if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
