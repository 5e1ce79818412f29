"""Records of runs: what is written is read, what has ended stays as it ended."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.errors import NotFoundError
from backend.settings import GateMode
from backend.storage.runs import RunState, RunStore
from backend.storage.version_facts import GateCriterion, GateDecision


@pytest.fixture
def runs(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def test_a_new_run_is_queued_and_named_after_its_project(runs: RunStore) -> None:
    run = runs.create("7", {"epochs": 2})
    assert (run.state, run.config, run.id.split("-")[0]) == (RunState.QUEUED, {"epochs": 2}, "7")
    assert runs.read(run.id) == run


def test_what_started_a_run_and_how_its_version_was_judged_are_kept(runs: RunStore) -> None:
    run = runs.create("7", {}, "20 new corrections")
    gate = GateDecision(GateMode.AUTO, GateCriterion.HOLDOUT, None, 9, True, True, "Not worse.")
    runs.update(run.id, gate=gate)
    kept = runs.read(run.id)
    assert (kept.trigger, kept.gate) == ("20 new corrections", gate)


def test_changes_are_kept(runs: RunStore) -> None:
    run = runs.create("7", {})
    assert runs.update(run.id, state=RunState.RUNNING, pictures=3) == runs.read(run.id)
    assert runs.read(run.id).pictures == 3


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED])
def test_what_has_ended_stays_as_it_ended(runs: RunStore, state: str) -> None:
    run = runs.create("7", {})
    ended = runs.update(run.id, state=state, reason="so it was")
    assert runs.update(run.id, state=RunState.RUNNING, reason="otherwise") == ended == runs.read(run.id)


def test_runs_come_newest_first_and_by_project(runs: RunStore) -> None:
    ids = [runs.create(project, {}).id for project in ("7", "8", "7")]
    assert [run.id for run in runs.all()] == ids[::-1]
    assert [run.id for run in runs.of_project("7")] == [ids[2], ids[0]]


def test_the_runs_of_a_project_are_found_without_reading_others(runs: RunStore) -> None:
    run = runs.create("7", {})
    for project in ("70", "7-b"):
        runs.create(project, {})
    (runs.root / "8-torn").mkdir()
    (runs.root / "8-torn" / "run.json").write_text("{")
    assert [found.id for found in runs.of_project("7")] == [run.id]


@pytest.mark.parametrize("name", ["../7", "/7", "", "*", "[0-9]"])
def test_a_name_that_no_project_can_have_has_no_runs(runs: RunStore, name: str) -> None:
    runs.create("7", {})
    assert runs.of_project(name) == []


def test_before_the_first_run_there_are_none(runs: RunStore) -> None:
    assert runs.all() == runs.names() == runs.of_project("7") == []


def test_a_run_that_never_was_is_not_found_and_leaves_nothing(runs: RunStore) -> None:
    for call in (runs.read, runs.update):
        with pytest.raises(NotFoundError, match="no run '7-never'"):
            call("7-never")
    assert not runs.root.exists()


@pytest.mark.parametrize("name", ["../x", "..", "", "a/b", ".training-7"])
def test_names_that_lead_elsewhere_are_refused(runs: RunStore, name: str) -> None:
    for call in (runs.read, runs.update, runs.clear):
        with pytest.raises(NotFoundError):
            call(name)
    with pytest.raises(NotFoundError):
        runs.create(name, {})


def test_a_folder_of_something_else_hides_no_run(runs: RunStore) -> None:
    run = runs.create("7", {})
    for name in ("a person's notes", ".hidden"):
        (runs.root / name).mkdir()
        (runs.root / name / "run.json").write_text("{}")
    assert [found.id for found in runs.all()] == [run.id]


def test_a_record_of_a_later_release_can_be_read(runs: RunStore) -> None:
    run = runs.create("7", {})
    path = runs.folder(run.id) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "mood": "good"}))
    assert runs.read(run.id) == run


def test_changes_from_several_threads_are_all_kept(runs: RunStore) -> None:
    run = runs.create("7", {})
    changes = [{"pictures": 3}, {"version": "v"}, {"reason": "r"}, {"starts": 4}, {"state": RunState.RUNNING}] * 4
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda change: runs.update(run.id, **change), changes))
    kept = runs.read(run.id)
    assert (kept.pictures, kept.version, kept.reason, kept.starts, kept.state) == (3, "v", "r", 4, RunState.RUNNING)


def test_clearing_removes_pictures_and_model_and_keeps_the_record(runs: RunStore) -> None:
    run = runs.create("7", {})
    for name in ("pictures", "model"):
        (runs.folder(run.id) / name).mkdir()
    runs.clear(run.id, everything=False)
    assert [(runs.folder(run.id) / name).is_dir() for name in ("pictures", "model")] == [False, True]
    runs.clear(run.id)
    assert not (runs.folder(run.id) / "model").exists()
    assert runs.read(run.id) == run
