"""Retraining on real stores and queues: what it asks for, what it starts, what it says, also after a restart."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from backend.errors import NotFoundError, QueueError, RequestError
from backend.queueing.queue import BULK, TRAIN, JobQueue
from backend.services.retraining import POLL_S, RetrainingService
from backend.settings import Settings
from backend.storage.projects import Project
from backend.storage.runs import Run, RunState
from backend.storage.sync_cursor import SyncCursor
from backend.wiring import Parts, build
from tests.backend.services.conftest import Say


@pytest.fixture
def retraining(parts: Parts) -> RetrainingService:
    return parts.services.retraining


def runs(parts: Parts) -> list[Run]:
    return parts.services.training.runs("7")


def trained(parts: Parts, state: str = RunState.SUCCEEDED) -> Run:
    """A training that has ended."""
    run = parts.stores.runs.create("7", {})
    return parts.stores.runs.update(run.id, state=state, ended=time.time())


def test_label_studio_is_asked_once_a_minute_and_after_a_restart_not_sooner(
    parts: Parts, retraining: RetrainingService, settings: Settings
) -> None:
    now = time.time()
    for after_s in (0, 5, POLL_S - 1):
        retraining.tick(now + after_s)
    assert parts.queue.requested_syncs("7") == {"changes": 1}
    assert parts.queue.counts()[BULK]["queued"] == 1
    retraining.tick(now + POLL_S)
    assert parts.queue.requested_syncs("7") == {"changes": 2}
    parts.stores.feedback.set_cursor("7", SyncCursor(synced=now + POLL_S))
    again = build(settings).services.retraining
    again.tick(now + 2 * POLL_S - 1)
    assert parts.queue.requested_syncs("7") == {"changes": 2}
    again.tick(now + 2 * POLL_S)
    assert parts.queue.requested_syncs("7") == {"changes": 3}


def test_without_an_address_and_a_token_nobody_is_asked(settings: Settings, tmp_path: Path) -> None:
    for lacking in ({"label_studio_url": None}, {"label_studio_api_key": None}):
        values = {"home": tmp_path, "redis_url": settings.redis_url, "label_studio_url": "http://x", **lacking}
        parts = build(Settings(**values))  # type: ignore[arg-type]
        parts.stores.projects.remember(Project("7", "<View/>"))
        parts.services.retraining.tick()
        assert parts.queue.requested_syncs("7") == {}


def test_the_first_training_starts_once_and_says_why(parts: Parts, retraining: RetrainingService, say: Say) -> None:
    retraining.change_policy("7", every=20, min_per_class=2)
    say(1, 2, outcome="open")
    say(3, outcome="open", label="crab")
    retraining.tick()
    assert runs(parts) == []
    assert "crab has 1" in retraining.decision("7").reason
    say(4, outcome="open", label="crab")
    for _ in range(3):
        retraining.tick()
    [run] = runs(parts)
    assert (run.state, run.trigger) == (RunState.QUEUED, "every class has 2 pictures")
    assert parts.queue.counts()[TRAIN]["queued"] == 1


def test_the_nth_correction_after_a_training_starts_the_next(
    parts: Parts, retraining: RetrainingService, say: Say
) -> None:
    retraining.change_policy("7", every=3)
    say(1, 2, 3, 4)
    first = trained(parts)
    say(5, 6)
    say(7, 8, 9, outcome="accepted")
    retraining.tick()
    assert [run.id for run in runs(parts)] == [first.id]
    assert retraining.decision("7").reason.startswith("2 of 3 new corrections since the last training.")
    say(1, digest="b")  # once more, otherwise
    retraining.tick()
    assert (runs(parts)[0].state, runs(parts)[0].trigger) == (RunState.QUEUED, "3 new corrections")


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
def test_nothing_starts_while_another_training_waits_or_runs(
    parts: Parts, retraining: RetrainingService, say: Say, state: str
) -> None:
    retraining.change_policy("7", every=1)
    trained(parts)
    run = parts.services.training.start("7")
    parts.stores.runs.update(run.id, state=state)
    say(1, 2, 3)
    retraining.tick()
    assert runs(parts)[0].id == run.id
    assert parts.services.training.start_if_idle("7", "too late") is None


def test_a_failing_training_is_not_repeated_until_people_say_something_new(
    parts: Parts, retraining: RetrainingService, say: Say
) -> None:
    retraining.change_policy("7", every=2)
    trained(parts)
    say(1, 2, 3)
    failed = trained(parts, RunState.FAILED)
    for after_s in (0, 30, 3600, 86400):
        retraining.tick(time.time() + after_s)
        assert "failed" in retraining.decision("7", time.time() + after_s).reason
    assert runs(parts)[0].id == failed.id
    say(4)
    retraining.tick(time.time() + 30)
    assert runs(parts)[0].id == failed.id
    retraining.tick(time.time() + 61)
    assert (runs(parts)[0].state, runs(parts)[0].trigger) == (RunState.QUEUED, "4 new corrections")


def test_a_cancelled_training_does_not_come_back_by_itself(
    parts: Parts, retraining: RetrainingService, say: Say
) -> None:
    retraining.change_policy("7", every=2)
    trained(parts)
    say(1, 2, 3)
    retraining.tick()
    parts.services.training.cancel(runs(parts)[0].id)
    retraining.tick()
    assert [run.state for run in runs(parts)] == [RunState.CANCELLED, RunState.SUCCEEDED]
    say(4)
    retraining.tick()
    assert "was cancelled; 1 of 2 new corrections" in retraining.decision("7").reason
    say(5)
    retraining.tick()
    assert (runs(parts)[0].state, runs(parts)[0].trigger) == (RunState.QUEUED, "5 new corrections")


def test_a_cron_time_starts_one_training_also_after_a_restart(
    parts: Parts, retraining: RetrainingService, settings: Settings, say: Say
) -> None:
    retraining.change_policy("7", cron="* * * * *")
    trained(parts)
    say(1)
    retraining.tick()  # chosen just now
    assert len(runs(parts)) == 1
    due = time.time() + 61
    build(settings).services.retraining.tick(due)
    assert runs(parts)[0].trigger == "cron * * * * *"
    parts.stores.runs.update(runs(parts)[0].id, state=RunState.SUCCEEDED)
    build(settings).services.retraining.tick(time.time())
    assert len(runs(parts)) == 2


def test_a_cron_time_without_anything_new_starts_nothing(parts: Parts, retraining: RetrainingService, say: Say) -> None:
    retraining.change_policy("7", cron="* * * * *")
    say(1)
    trained(parts)
    parts.stores.feedback.set_cursor("7", SyncCursor(synced=time.time()))
    retraining.tick(time.time() + 61)
    assert len(runs(parts)) == 1
    say(2, outcome="open")
    retraining.tick(time.time() + 61)
    assert len(runs(parts)) == 2


def test_the_settings_cron_expression_fires_from_when_the_loop_first_saw_it(
    parts: Parts, settings: Settings, say: Say
) -> None:
    values = {"home": settings.home, "redis_url": settings.redis_url, "train_cron": "* * * * *"}
    build(Settings(**values)).services.retraining.tick()
    say(*range(5))
    assert runs(parts) == []
    build(Settings(**values)).services.retraining.tick(time.time() + 61)
    assert len(runs(parts)) == 1


def test_a_project_whose_policy_is_broken_keeps_no_other_from_its_training(
    parts: Parts, retraining: RetrainingService, say: Say, caplog: pytest.LogCaptureFixture
) -> None:
    for project in ("6", "8"):
        parts.stores.projects.remember(Project(project, "<View/>"))
        parts.stores.policies.change(project, every=1, min_per_class=1)
        say(1, project=project)
    (parts.stores.policies.root / "6.json").write_text('{"every": "many"}')
    retraining.tick()
    assert "6.json says what this version of Boxstrap does not understand (every: " in caplog.text
    assert [run.project_id for run in parts.services.training.runs()] == ["8"]


def test_the_status_counts_tasks_and_says_when_label_studio_was_asked(
    parts: Parts, retraining: RetrainingService, say: Say
) -> None:
    trained(parts)
    say(1, 2)
    say(3, outcome="accepted", label="crab")
    found = retraining.status("7")
    assert (found.project, found.starts, found.corrected, found.observed) == ("7", False, 2, None)
    assert (found.class_counts, found.outcomes) == ({"fish": 2, "crab": 1}, {"corrected": 2, "accepted": 1})
    assert found.reason.startswith("No training starts by itself")
    parts.stores.feedback.set_cursor("7", SyncCursor(synced=12.5))
    assert retraining.status("7").observed == 12.5


def test_a_project_that_nobody_set_up_has_no_policy(retraining: RetrainingService) -> None:
    for ask in (retraining.policy, retraining.change_policy, retraining.status):
        with pytest.raises(NotFoundError, match="Project 9 was never set up"):
            ask("9")
    with pytest.raises(RequestError, match="every is -1"):
        retraining.change_policy("7", every=-1)


def test_without_redis_the_status_is_told_and_a_round_says_what_is_missing(tmp_path: Path) -> None:
    parts = build(
        Settings(
            home=tmp_path, redis_url="redis://127.0.0.1:9/0", label_studio_url="http://x", label_studio_api_key="k"
        )
    )
    parts.stores.projects.remember(Project("7", "<View/>"))
    assert parts.services.retraining.status("7").corrected == 0
    with pytest.raises(QueueError):
        parts.services.retraining.tick()


def test_only_what_redis_holds_is_lost_with_it(
    parts: Parts, retraining: RetrainingService, redis_queue: JobQueue, say: Say, settings: Settings
) -> None:
    retraining.change_policy("7", every=3)
    trained(parts)
    say(1, 2)
    redis_queue.connection.flushall()
    say(3)
    build(settings).services.retraining.tick()
    assert runs(parts)[0].trigger == "3 new corrections"
