"""What there is to say of a version, in words of everyday life: its state, the gate's verdict, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.settings import GateMode
from backend.storage.models import Version
from backend.storage.version_facts import GateCriterion, GateDecision
from backend.wording import counted, lasting, percent, short_name

LARGEST = 1e12  # of a figure that means anything
RIGHT = "Pictures classified right"
BEGINNINGS = {"warm_start": "the version before", "pretrained": "ImageNet weights"}


@dataclass(frozen=True, slots=True)
class Badge:
    """`kind` is its colour on the page: good, warn, bad, or "" for what is neither."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """Pictures classified right: 83 %."""

    name: str
    value: str


def is_suggested(version: Version, live: str | None) -> bool:
    """Return whether the gate found it not worse than the version that is still `live`, and left it to a person."""
    gate = version.facts.gate
    if gate is None or version.name == live:
        return False
    return gate.mode == GateMode.SUGGEST and gate.against == live and gate.passed and not gate.promoted


def badges(version: Version, live: str | None) -> list[Badge]:
    """Return the version's states."""
    gate, found = version.facts.gate, []
    if version.name == live:
        found.append(Badge("live", "good"))
    elif is_suggested(version, live):
        found.append(Badge("suggested", "warn"))
    elif gate is not None and not gate.passed:
        found.append(Badge("refused", "bad"))
    elif gate is not None and not gate.promoted and gate.against == live:
        found.append(Badge("waits for a person", "warn"))
    else:
        found.append(Badge("replaced"))
    if gate is not None and gate.criterion == GateCriterion.FIRST_VERSION:
        found.append(Badge("first look" if version.facts.is_first_look else "first version"))
    if version.facts.faults:
        found.append(Badge("unreliable", "warn"))
    return found


def verdict(version: Version, live: str | None) -> str:
    """Return in one sentence what the gate found and what follows from it; "" of versions that it never saw."""
    gate = version.facts.gate
    return "" if gate is None else f"{_found(gate)}{_follows(version.name, gate, live)}"


def figures(version: Version) -> list[Figure]:
    """Return how good the version is, as far as that was measured."""
    metrics, gate = version.facts.metrics, version.facts.gate
    found = []
    told_apart = len(version.facts.classes) != 1  # of a single class each picture is right, whatever was learned
    if told_apart and (right := _number(metrics, "holdout_top1_accuracy")) is not None:
        pictures = _number(metrics, "holdout_pictures")
        of = f" of {counted(round(pictures), 'picture')}" if pictures else ""  # 100 % of three says little
        found.append(Figure(RIGHT, percent(right) + of))
    measured = gate.measures if gate is not None and gate.criterion == GateCriterion.HOLDOUT else {}
    for name, words in (("box_iou", "Overlap with people's boxes"), ("mask_iou", "Overlap with people's masks")):
        if (share := _number(measured.get(name) or {}, "new")) is not None:
            found.append(Figure(words, percent(share)))
    if (edits := _number(measured.get("edits") or {}, "new")) is not None:
        found.append(Figure("Corrections a picture needs", f"{edits:.1f}"))
    return found


def circumstances(version: Version) -> list[Figure]:
    """Return how the version was made."""
    metrics, facts = version.facts.metrics, version.facts
    found = []
    if facts.pictures is not None:
        found.append(Figure("Learned from", _pictures(facts.pictures, facts.corrected)))
    if facts.holdout:
        found.append(Figure("Kept for comparing versions", counted(facts.holdout, "corrected picture")))
    if (seconds := _number(metrics, "train_seconds")) is not None:
        steps = _number(metrics, "train_steps")
        found.append(Figure("Trained for", f"{lasting(seconds)}{f', {steps:,.0f} steps' if steps else ''}"))
    if any(name in metrics for name in BEGINNINGS):
        began = next((words for name, words in BEGINNINGS.items() if metrics.get(name)), "nothing, from scratch")
        found.append(Figure("Began with", began))
    if facts.config.get("method"):
        found.append(Figure("Method", f"{facts.config['method']} on {facts.config.get('backbone', '?')}"))
    if facts.trigger:
        found.append(Figure("Started by", facts.trigger))
    return found


def _found(gate: GateDecision) -> str:
    against, passed = short_name(gate.against), gate.passed
    if gate.criterion == GateCriterion.FIRST_VERSION:
        return "The first version, so there was nothing to compare it with"
    if gate.criterion == GateCriterion.FAULTS:
        return f"It is reliable, and {against} is not" if passed else f"It is unreliable, and {against} is not"
    if gate.criterion == GateCriterion.FIRST_LOOK:
        return f"It is of the whole training, and {against} was a first look"
    kind = "Not worse" if passed else "Worse"
    if gate.criterion == GateCriterion.HOLDOUT:
        return f"{kind} than {against} on {counted(gate.pictures, 'corrected picture')}"
    return f"{kind} than {against} by classes alone, since too few corrected pictures are held out to compare boxes"


def _follows(name: str, gate: GateDecision, live: str | None) -> str:
    against, now = short_name(gate.against), short_name(live)
    if gate.promoted:
        return ": it went live." if live == name else f": it went live; {now} is live now."
    if live == name:
        return f": {against} stayed live, until a person activated this one."
    if live != gate.against:
        return f": {against} stayed live; {now} is live now."
    return f": {against} stays live{' until a person activates this one' if gate.passed else ''}."


def _pictures(trained_on: Any, corrected: Any) -> str:
    if not isinstance(trained_on, int):
        return str(trained_on)
    return counted(trained_on, "picture") + (f", {corrected:,} of them corrected" if corrected else "")


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        return None
    return float(value)
