"""Decide whether a project's training starts by itself now, with a sentence that says why. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from backend.storage.policies import Policy
from backend.storage.runs import Run, RunState
from backend.wording import a_few

PAUSE_S = 60.0  # after a failed training
FIRST_LOOK_S = 60.0  # after a first look, whose predictions are written first: a training takes all cores
NOT_SYNCED = (
    "Label Studio has not been asked yet what people said; that needs LABEL_STUDIO_URL, LABEL_STUDIO_API_KEY and a "
    "running `boxstrap worker predict`."
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision rests on. Counts are of tasks.

    first: nothing has been trained yet. active: the run that waits or is trained; last: the newest that has ended.
    corrected: since the last training that did not fail. anew: what is new since `last` ended; asked for where it
    failed or was cancelled. changed: whether people said anything since the last training that did not fail.
    synced: whether Label Studio was ever asked what people said. class_counts: needed for the first training.
    """

    first: bool
    active: Run | None = None
    last: Run | None = None
    corrected: int = 0
    anew: int = 0
    changed: bool = True
    synced: bool = True
    class_counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` is a sentence for people, `trigger` the part of it that a run keeps: "20 new corrections"."""

    start: bool
    reason: str
    trigger: str = ""


def decide(policy: Policy, facts: Facts, now: float) -> Decision:
    """Decide whether a training starts `now`, in seconds since 1970. Cron times and quiet hours are this machine's."""
    if facts.active is not None:
        doing = "is running" if facts.active.state == RunState.RUNNING else "waits for its turn"
        return Decision(False, f"A training {doing}; the next one by itself can start when it has ended.")
    if facts.last is not None and facts.last.is_first_look and facts.last.state == RunState.SUCCEEDED:
        return _after_first_look(policy, facts.last, now)
    if not policy.every and not policy.cron:
        return Decision(
            False, "No training starts by itself: neither a number of corrections nor a time is set to start one."
        )
    trigger, waiting = _cause(policy, facts, now)
    if not trigger:
        return Decision(False, waiting if facts.synced else f"{waiting} {NOT_SYNCED}")
    return _unless_quiet(policy, trigger, now)


def _after_first_look(policy: Policy, first_look: Run, now: float) -> Decision:
    if now - _end(first_look) < FIRST_LOOK_S:
        return Decision(False, "The rest of the training follows the first look within two minutes.")
    return _unless_quiet(policy, "the first look, of which it is the rest", now)


def _unless_quiet(policy: Policy, trigger: str, now: float) -> Decision:
    if until := quiet_until(policy.quiet, now):
        return Decision(False, f"A training waits until the quiet hours ({policy.quiet}) end at {until}: {trigger}.")
    return Decision(True, f"A training starts now: {trigger}.", trigger)


def last_cron_time(cron: str, now: float) -> float:
    """Return the newest time before `now` at which `cron` was true, in seconds since 1970."""
    times = _times(cron, now)
    # An hour that clocks skip in spring counts as the one after it, which may be still to come.
    while (found := times.get_prev(datetime).timestamp()) > now:
        pass
    return float(found)


def next_cron_time(cron: str, now: float) -> datetime:
    """Return the next time at which `cron` is true, as this machine's clock shows it."""
    found: datetime = _times(cron, now).get_next(datetime)
    return found


def quiet_until(quiet: str, now: float) -> str:
    """Return when the quiet hours that `now` is in end, as "07:00"; "" outside of them."""
    if not quiet:
        return ""
    begin, end = (time.fromisoformat(clock) for clock in quiet.split("-"))
    clock = datetime.fromtimestamp(now).time()
    inside = begin <= clock < end if begin < end else clock >= begin or clock < end
    return f"{end:%H:%M}" if inside else ""


def _times(cron: str, now: float) -> Any:
    from croniter import croniter  # only who has an expression needs it

    return croniter(cron, datetime.fromtimestamp(now) + timedelta(microseconds=1))


def _cause(policy: Policy, facts: Facts, now: float) -> tuple[str, str]:
    """Return what starts a training, or "" and the sentence that says what it waits for."""
    if facts.first and (lack := _lack(policy, facts)):
        return "", lack
    if _pauses(facts.last, now):
        return "", f"The last training failed, so the next one waits {PAUSE_S:.0f} s at least."
    if trigger := _cron_trigger(policy, facts, now) or _count_trigger(policy, facts):
        return trigger, ""
    return "", _waiting(policy, facts, now)


def _lack(policy: Policy, facts: Facts) -> str:
    """Return what keeps a project from its first training; "" if nothing does."""
    if not facts.class_counts:
        return "The first training waits for pictures with a class; none has one yet."
    lacking = {name: count for name, count in facts.class_counts.items() if count < policy.min_per_class}
    if not lacking:
        return ""
    shown = a_few([f"{name} has {count}" for name, count in sorted(lacking.items())])
    return f"The first training waits until every class has {policy.min_per_class} pictures: {shown}."


def _pauses(last: Run | None, now: float) -> bool:
    return last is not None and last.state == RunState.FAILED and now - _end(last) < PAUSE_S


def _cron_trigger(policy: Policy, facts: Facts, now: float) -> str:
    """Each time of the expression starts one training, also a time that was missed; none if nothing has changed."""
    if not policy.cron or not (facts.changed or facts.first):
        return ""
    before = max(policy.since, facts.last.created if facts.last else 0.0)
    return f"cron {policy.cron}" if last_cron_time(policy.cron, now) > before else ""


def _count_trigger(policy: Policy, facts: Facts) -> str:
    if not policy.every or facts.anew < _needed_anew(policy, facts):
        return ""
    if facts.first:
        return f"every class has {policy.min_per_class} pictures"
    return f"{facts.corrected} new corrections" if facts.corrected >= policy.every else ""


def _needed_anew(policy: Policy, facts: Facts) -> int:
    """Return how much has to be new since the last run ended, so that a training that fails is not repeated for ever.

    Whoever cancelled one does not want it back with the next click of an annotator.
    """
    needed = {RunState.FAILED: 1, RunState.CANCELLED: policy.every}
    return needed.get(facts.last.state, 0) if facts.last else 0


def _waiting(policy: Policy, facts: Facts, now: float) -> str:
    parts = []
    needed = _needed_anew(policy, facts)
    if policy.every and facts.anew < needed:
        what = "a new label or correction" if facts.first else "a new correction"
        cancelled = facts.last is not None and facts.last.state == RunState.CANCELLED
        waits = f"{facts.anew} of {needed} new corrections" if cancelled else f"the next one waits for {what}"
        parts.append(f"the last training {'was cancelled' if cancelled else 'failed'}; {waits} since then")
    elif policy.every:
        parts.append(f"{facts.corrected} of {policy.every} new corrections since the last training")
    if policy.cron:
        when = f"{next_cron_time(policy.cron, now):%Y-%m-%d %H:%M}"
        nothing = "" if facts.changed or facts.first else ", if people have said something new by then"
        parts.append(f"the next time of cron {policy.cron} is {when}{nothing}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _end(run: Run) -> float:
    return run.created if run.ended is None else run.ended
