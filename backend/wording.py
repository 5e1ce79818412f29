"""Words for people: counts with their nouns, shares and short names of versions. Torch-free; no HTML here."""

from __future__ import annotations


def counted(number: int, noun: str, several: str = "") -> str:
    """1 picture, 1,234 pictures, 2 classes."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


def percent(share: float) -> str:
    """83 %; 0 and 100 only where it is none or all."""
    if 0 < share < 1:
        return f"{min(99, max(1, round(100 * share)))} %"
    return f"{100 * share:.0f} %"


def short_name(version: str | None) -> str:
    """0003 of boxstrap-7-0003, as people say it within one project."""
    return (version or "").rpartition("-")[2]


def lasting(seconds: float) -> str:
    """42 s, 7 min, 1 h 20 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
