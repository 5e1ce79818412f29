"""Words for people: counts with their nouns, shares and short names of versions. Torch-free; no HTML here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MOST_CLASSES = 3  # that a sentence names


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


def a_few(names: Sequence[str]) -> str:
    """Name the first of many.

    Example:
        >>> a_few(("crab", "fish", "ladybird", "snail", "starfish"))
        'crab, fish, ladybird and 2 more'
    """
    shown, more = ", ".join(names[:MOST_CLASSES]), len(names) - MOST_CLASSES
    return f"{shown} and {more:,} more" if more > 0 else shown


def left_out_sentence(left_out: Mapping[str, int], empty: int) -> str:
    """Say how many objects of each class nobody sees, in how many tasks that leaves none, and what helps; "" of none.

    Example:
        >>> left_out_sentence({"crab": 30, "fish": 7}, 12)
        '37 objects (30 of crab, 7 of fish) are not shown, since ... Corrections of pictures with crab help most.'
    """
    most = sorted((name for name in left_out if left_out[name]), key=lambda name: (-left_out[name], name))
    if not most:
        return ""
    named = ", ".join(f"{left_out[name]:,} of {name}" for name in most[:MOST_CLASSES])
    named += ", ..." if len(most) > MOST_CLASSES else ""
    total = sum(left_out.values())
    them, are = ("it", "is") if total == 1 else ("them", "are")
    bare = f"; {counted(empty, 'task')} {'shows' if empty == 1 else 'show'} none for that reason" if empty else ""
    return (
        f"{counted(total, 'object')} ({named}) {are} not shown, since correcting {them} would take longer than it saves"
        f"{bare}. Corrections of pictures with {most[0]} help most."
    )
