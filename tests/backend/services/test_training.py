"""Asking for trainings: however often, one waits and one runs."""

from __future__ import annotations

import pytest

from backend.errors import NotFoundError
from backend.queueing.queue import TRAIN
from backend.storage.runs import RunState
from tests.backend.support.fake_project import PROJECT
from tests.backend.support.trainings import Trainings


def test_requests_while_a_run_waits_give_that_run(trainings: Trainings) -> None:
    first = trainings.service.start(PROJECT)
    assert trainings.service.start(PROJECT) == first
    assert [run.state for run in trainings.service.runs(PROJECT)] == [RunState.QUEUED]
    assert trainings.queue.counts()[TRAIN]["queued"] == 1


def test_requests_while_one_is_trained_make_exactly_one_further_run(trainings: Trainings) -> None:
    first = trainings.service.start(PROJECT)
    trainings.stores.runs.update(first.id, state=RunState.RUNNING)
    second = trainings.service.start(PROJECT)
    assert trainings.service.start(PROJECT) == second
    assert second.id != first.id
    assert [run.state for run in trainings.service.runs(PROJECT)] == [RunState.QUEUED, RunState.RUNNING]


def test_a_run_says_what_started_it_and_keeps_that(trainings: Trainings) -> None:
    first = trainings.service.start(PROJECT)
    assert first.trigger == 'button "Start training"'
    assert trainings.service.start(PROJECT, "command line") == first


def test_what_starts_by_itself_starts_where_nothing_waits_or_is_trained(trainings: Trainings) -> None:
    first = trainings.service.start_if_idle(PROJECT, "20 new corrections")
    assert first is not None and (first.trigger, trainings.queue.status(first.id)) == ("20 new corrections", "queued")
    assert trainings.service.start_if_idle(PROJECT, "21 new corrections") is None
    trainings.stores.runs.update(first.id, state=RunState.RUNNING)
    assert trainings.service.start_if_idle(PROJECT, "21 new corrections") is None
    trainings.stores.runs.update(first.id, state=RunState.SUCCEEDED)
    second = trainings.service.start_if_idle(PROJECT, "21 new corrections")
    assert second is not None and second.id != first.id


def test_projects_do_not_wait_for_each_other(trainings: Trainings) -> None:
    assert trainings.service.start(PROJECT).id != trainings.service.start("8").id
    assert len(trainings.service.runs()) == 2


def test_a_record_whose_job_was_never_made_gets_one_with_the_next_request(trainings: Trainings) -> None:
    run = trainings.stores.runs.create(PROJECT, {})
    assert trainings.service.start(PROJECT).id == run.id
    assert trainings.queue.status(run.id) == "queued"


def test_a_cancelled_run_leaves_its_queue_and_the_next_request_makes_another(trainings: Trainings) -> None:
    first = trainings.service.start(PROJECT)
    cancelled = trainings.service.cancel(first.id)
    assert (cancelled.state, cancelled.reason) == (RunState.CANCELLED, "cancelled by a person")
    assert trainings.queue.counts()[TRAIN]["queued"] == 0
    assert trainings.service.start(PROJECT).id != first.id


def test_what_has_ended_is_not_cancelled(trainings: Trainings) -> None:
    run = trainings.service.start(PROJECT)
    trainings.stores.runs.update(run.id, state=RunState.SUCCEEDED)
    assert trainings.service.cancel(run.id).state == RunState.SUCCEEDED


def test_only_what_is_there_can_be_asked_about(trainings: Trainings) -> None:
    for ask in (trainings.service.find, trainings.service.cancel):
        with pytest.raises(NotFoundError, match="no run '7-never'"):
            ask("7-never")
    with pytest.raises(NotFoundError, match="has no version yet; start a training first"):
        trainings.service.preannotate(PROJECT)


def test_progress_is_told_of_running_trainings_only(trainings: Trainings) -> None:
    run = trainings.service.start(PROJECT)
    trainings.queue.progress.report_run(run.id, {"epoch": 1})
    assert trainings.service.progress(run) is None
    assert trainings.service.progress(trainings.stores.runs.update(run.id, state=RunState.RUNNING)) == {"epoch": 1}
