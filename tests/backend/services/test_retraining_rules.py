"""When a training starts by itself, and the sentence that says why or why not. All times are this machine's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from backend.services.retraining_rules import Facts, decide, last_cron_time, quiet_until
from backend.storage.policies import Policy
from backend.storage.runs import Run, RunState

EVERY_20 = Policy(every=20)
NIGHTLY = Policy(cron="0 3 * * *")
TRAINED = Facts(first=False, class_counts={"fish": 9})


def at(text: str) -> float:
    return datetime.fromisoformat(f"2026-11-{text}").timestamp()


NOON = at("21 12:00")


def run(state: str, created: float = NOON - 3600, ended: float | None = NOON - 1800) -> Run:
    return Run("7-x", "7", state=state, created=created, ended=ended)


@pytest.fixture
def clocks_change(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in central Europe."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_without_a_policy_nothing_starts() -> None:
    found = decide(Policy(), replace(TRAINED, corrected=1000), NOON)
    assert not found.start and "neither a number of corrections nor a time is set" in found.reason


@pytest.mark.parametrize(("corrected", "starts"), [(0, False), (19, False), (20, True), (21, True)])
def test_a_training_starts_with_the_nth_correction(corrected: int, starts: bool) -> None:
    found = decide(EVERY_20, replace(TRAINED, corrected=corrected), NOON)
    assert found.start is starts
    assert found.trigger == (f"{corrected} new corrections" if starts else "")
    expected = f"A training starts now: {found.trigger}." if starts else f"{corrected} of 20 new corrections since"
    assert expected in found.reason


@pytest.mark.parametrize(("state", "word"), [(RunState.QUEUED, "waits"), (RunState.RUNNING, "is running")])
def test_nothing_starts_while_a_run_waits_or_is_trained(state: str, word: str) -> None:
    found = decide(EVERY_20, replace(TRAINED, active=run(state), corrected=99), NOON)
    assert not found.start and f"A training {word}" in found.reason


def test_the_first_training_waits_for_enough_pictures_of_every_class() -> None:
    first = Facts(first=True)
    assert "none has one yet" in decide(EVERY_20, first, NOON).reason
    few = decide(EVERY_20, replace(first, class_counts={"fish": 5, "crab": 4, "bird": 1}), NOON)
    assert not few.start
    assert few.reason == "The first training waits until every class has 5 pictures: bird has 1, crab has 4."
    enough = decide(EVERY_20, replace(first, class_counts={"fish": 5, "crab": 5}), NOON)
    assert (enough.start, enough.trigger) == (True, "every class has 5 pictures")


def test_the_first_training_of_a_nightly_policy_waits_for_both() -> None:
    first = Facts(first=True, class_counts={"fish": 5})
    yesterday, today = replace(NIGHTLY, since=at("20 12:00")), replace(NIGHTLY, since=at("21 04:00"))
    assert decide(yesterday, first, NOON).trigger == "cron 0 3 * * *"
    assert not decide(today, first, NOON).start
    assert not decide(yesterday, replace(first, class_counts={"fish": 4}), NOON).start


def test_later_trainings_do_not_ask_how_many_pictures_a_class_has() -> None:
    assert decide(EVERY_20, Facts(first=False, corrected=20, class_counts={"new": 1}), NOON).start


def test_a_cron_time_starts_one_training_also_when_it_was_missed() -> None:
    before = replace(TRAINED, last=run(RunState.SUCCEEDED, created=at("20 20:00")))
    found = decide(NIGHTLY, before, NOON)
    assert (found.start, found.trigger) == (True, "cron 0 3 * * *")
    after = decide(NIGHTLY, replace(TRAINED, last=run(RunState.SUCCEEDED, created=at("21 03:00:02"))), NOON)
    assert not after.start and "The next time of cron 0 3 * * * is 2026-11-22 03:00." in after.reason


def test_choosing_a_cron_expression_starts_nothing_at_once() -> None:
    assert not decide(replace(NIGHTLY, since=NOON), TRAINED, NOON + 60).start
    assert decide(replace(NIGHTLY, since=NOON), TRAINED, at("22 03:00:04")).start


def test_a_cron_time_at_which_nobody_has_said_anything_new_starts_nothing() -> None:
    found = decide(NIGHTLY, replace(TRAINED, changed=False), NOON)
    assert not found.start and "if people have said something new by then" in found.reason


def test_cron_and_corrections_go_together() -> None:
    both = Policy(every=20, cron="0 3 * * *", since=NOON - 1)
    waits = decide(both, replace(TRAINED, corrected=3), NOON)
    assert waits.reason == (
        "3 of 20 new corrections since the last training; the next time of cron 0 3 * * * is 2026-11-22 03:00."
    )
    assert decide(both, replace(TRAINED, corrected=20), NOON).trigger == "20 new corrections"


@pytest.mark.parametrize(
    ("quiet", "clock", "until"),
    [
        ("22:00-07:00", "21 21:59", ""),
        ("22:00-07:00", "21 22:00", "07:00"),
        ("22:00-07:00", "21 00:00", "07:00"),
        ("22:00-07:00", "21 06:59:59", "07:00"),
        ("22:00-07:00", "21 07:00", ""),
        ("09:00-17:30", "21 08:59", ""),
        ("09:00-17:30", "21 17:29", "17:30"),
        ("09:00-17:30", "21 17:30", ""),
        ("", "21 12:00", ""),
    ],
)
def test_quiet_hours_may_span_midnight(quiet: str, clock: str, until: str) -> None:
    assert quiet_until(quiet, at(clock)) == until


def test_what_comes_in_quiet_hours_starts_after_them() -> None:
    policy, facts = Policy(every=20, quiet="22:00-07:00"), replace(TRAINED, corrected=30)
    night = decide(policy, facts, at("21 23:00"))
    assert not night.start and not night.trigger
    assert night.reason == "A training waits until the quiet hours (22:00-07:00) end at 07:00: 30 new corrections."
    assert decide(policy, facts, at("22 07:00")).start


def test_after_a_failed_training_a_minute_passes_and_a_correction_has_to_come() -> None:
    failed = replace(TRAINED, last=run(RunState.FAILED, ended=NOON), corrected=30)
    at_once = decide(EVERY_20, replace(failed, anew=1), NOON + 59)
    assert not at_once.start and "failed, so the next one waits 60 s" in at_once.reason
    waits = decide(EVERY_20, failed, NOON + 3600)
    assert not waits.start
    assert waits.reason == "The last training failed; the next one waits for a new correction since then."
    assert decide(EVERY_20, replace(failed, anew=1), NOON + 60).start


def test_a_first_training_that_failed_waits_for_a_label_or_correction() -> None:
    failed = Facts(first=True, last=run(RunState.FAILED), class_counts={"fish": 5})
    assert "waits for a new label or correction" in decide(EVERY_20, failed, NOON).reason
    assert decide(EVERY_20, replace(failed, anew=1), NOON).start


def test_after_a_failed_training_the_next_cron_time_tries_again() -> None:
    failed = replace(TRAINED, last=run(RunState.FAILED, created=at("21 03:00:05"), ended=at("21 03:01")))
    assert not decide(NIGHTLY, failed, NOON).start
    assert decide(NIGHTLY, failed, at("22 03:00:03")).start


def test_after_a_person_cancelled_a_training_as_many_corrections_have_to_come_again() -> None:
    cancelled = replace(TRAINED, last=run(RunState.CANCELLED), corrected=30, anew=19)
    waits = decide(EVERY_20, cancelled, NOON)
    assert not waits.start
    assert waits.reason == "The last training was cancelled; 19 of 20 new corrections since then."
    assert decide(EVERY_20, replace(cancelled, anew=20), NOON).start


def test_it_is_said_when_nobody_asked_label_studio() -> None:
    assert "LABEL_STUDIO_API_KEY" in decide(EVERY_20, replace(TRAINED, synced=False), NOON).reason
    assert "LABEL_STUDIO_API_KEY" not in decide(EVERY_20, TRAINED, NOON).reason
    assert "LABEL_STUDIO_API_KEY" not in decide(Policy(), replace(TRAINED, synced=False), NOON).reason


@pytest.mark.usefixtures("clocks_change")
def test_a_cron_time_that_clocks_skip_is_never_later_than_now_and_starts_one_training() -> None:
    policy, facts, started = Policy(cron="30 2 * * *"), TRAINED, []
    begin = datetime(2026, 3, 28, 12).timestamp()
    for minute in range(0, 2 * 24 * 60, 5):
        now = begin + 60 * minute
        assert last_cron_time(policy.cron, now) <= now
        if decide(replace(policy, since=begin), facts, now).start:
            started.append(datetime.fromtimestamp(now))
            facts = replace(facts, last=run(RunState.SUCCEEDED, created=now))
    assert [(moment.day, moment.minute) for moment in started] == [(29, 30), (30, 30)]


@pytest.mark.usefixtures("clocks_change")
def test_a_cron_time_that_comes_twice_in_autumn_starts_one_training() -> None:
    policy, facts, started = Policy(cron="30 2 * * *"), TRAINED, []
    begin = datetime(2026, 10, 24, 12).timestamp()
    for minute in range(0, 24 * 60, 5):
        now = begin + 60 * minute
        if decide(replace(policy, since=begin), facts, now).start:
            started.append(now)
            facts = replace(facts, last=run(RunState.SUCCEEDED, created=now))
    assert [datetime.fromtimestamp(now) for now in started] == [datetime(2026, 10, 25, 2, 30)]


def test_the_rest_of_a_training_follows_its_first_look_without_a_policy_once_predictions_had_their_minute() -> None:
    first_look = replace(run(RunState.SUCCEEDED, ended=NOON - 59), config={"brief": True})
    assert not decide(Policy(), replace(TRAINED, last=first_look), NOON).start
    found = decide(Policy(), replace(TRAINED, last=replace(first_look, ended=NOON - 60)), NOON)
    assert (found.start, found.trigger) == (True, "the first look, of which it is the rest")
    assert "quiet hours" in decide(Policy(quiet="11:00-13:00"), replace(TRAINED, last=first_look), NOON + 9).reason


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
def test_a_first_look_that_came_to_nothing_is_followed_by_nothing(state: str) -> None:
    last = replace(run(state), config={"brief": True})
    assert not decide(Policy(), replace(TRAINED, last=last), NOON).start
