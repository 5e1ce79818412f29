"""The report of a project, from what is really stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.errors import NotFoundError
from backend.reports.report import Cost, Report, ReportService
from backend.settings import Settings
from backend.storage.ledger_rows import ClassDoubt
from backend.storage.projects import Project
from backend.storage.runs import RunState
from backend.storage.stores import Stores, open_stores
from backend.storage.sync_cursor import SyncCursor
from backend.storage.version_facts import VersionFacts
from tests.backend.support.ledger import FIRST, SECOND, an_object, row, scored


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """Project 7, without anything."""
    stores = open_stores(Settings(home=tmp_path))
    stores.projects.remember(Project("7", "<View/>", title="Fish"))
    return stores


def publish(stores: Stores, tmp_path: Path, seconds: float, live: bool = True, **facts: object) -> str:
    run = stores.runs.create("7", {})
    for name in ("model.safetensors", "model.json"):
        (tmp_path / name).write_text("{}")
    version = stores.models.publish("7", tmp_path, VersionFacts.from_dict({"run": run.id, **facts}), live=live)
    stores.runs.update(run.id, state=RunState.SUCCEEDED, started=1000.0, ended=1000.0 + seconds, version=version)
    return version


def report(stores: Stores) -> Report:
    return ReportService(stores).report("7")


def test_before_the_first_training(stores: Stores) -> None:
    found = report(stores)
    assert found.is_empty
    assert (found.title, found.live_version, found.observed, found.versions) == ("Fish", None, None, [])
    assert "no version has been trained" in found.sentence and "Start training" in found.next_step
    assert found.tasks == {"open": 0, "accepted": 0, "corrected": 0, "skipped": 0}


def test_before_the_first_review(stores: Stores, tmp_path: Path) -> None:
    publish(stores, tmp_path, 60)
    stores.feedback.put("7", [row(1, an_object("added"), version=None)])
    found = report(stores)
    assert "nobody has reviewed a prediction. People drew 1 task without one." in found.sentence
    assert "boxstrap preannotate 7" in found.next_step
    assert [(version.name, version.agreement.tasks, version.training_s) for version in found.versions] == [
        (FIRST, 0, 60)
    ]


def test_a_version_that_was_not_promoted_is_to_be_activated(stores: Stores, tmp_path: Path) -> None:
    publish(stores, tmp_path, 60, live=False)
    assert report(stores).next_step == f"boxstrap models activate 7 {FIRST}"


def test_versions_have_what_people_made_of_them_and_what_they_cost(stores: Stores, tmp_path: Path) -> None:
    publish(stores, tmp_path, 60, pictures=12)
    publish(stores, tmp_path, 90, gate={"sentence": "It is better.", "mode": "auto"})
    failed = stores.runs.create("7", {})
    stores.runs.update(failed.id, state=RunState.FAILED, started=5.0, ended=25.5)
    stores.runs.create("7", {})
    rows = [
        row(1, an_object("edited", 0.5)),
        row(2, an_object("accepted"), version=SECOND),
        row(3, an_object("deleted"), version=SECOND),
        row(4, outcome="skipped", version=SECOND),
        row(5, an_object("accepted"), version="boxstrap-7-0000"),
    ]
    stores.feedback.put("7", rows)
    stores.feedback.set_cursor("7", SyncCursor(full_scan=1.0, synced=1234.5))
    found = report(stores)
    assert found.sentence == (
        "People have reviewed the predictions of 4 tasks: 2 (50 %) were accepted untouched, 2 corrected."
    )
    deleted, first, second = found.versions
    assert (deleted.name, deleted.created, deleted.training_s) == ("boxstrap-7-0000", None, None)
    assert (first.name, first.live, first.pictures, first.training_s, first.gate) == (FIRST, False, 12, 60, "")
    assert (second.name, second.live, second.parent, second.training_s) == (SECOND, True, FIRST, 90)
    assert (second.gate, second.skipped, second.agreement.task_acceptance) == ("It is better.", 1, 0.5)
    assert [(each.label, each.agreement.tasks) for each in second.classes] == [("fish", 2)]
    assert (found.total.tasks, found.live_version, found.observed) == (4, SECOND, 1234.5)
    assert found.tasks == {"open": 0, "accepted": 2, "corrected": 2, "skipped": 1}
    assert found.cost == Cost(trainings=3, training_s=170.5, fruitless_s=20.5)


def test_fifty_doubts_are_listed_and_all_are_counted(stores: Stores) -> None:
    stores.feedback.put("7", [row(task, an_object("accepted")) for task in range(52)])
    for task in range(52):
        stores.feedback.set_doubt("7", task, ClassDoubt(("fish",), "crab", task / 100))
    found = report(stores)
    assert (found.doubts_found, len(found.doubts), found.doubts[0].task) == (52, 50, 51)


def test_other_projects_rows_are_not_in_it(stores: Stores) -> None:
    stores.feedback.put("8", scored())
    assert report(stores).is_empty


def test_everything_in_it_is_json(stores: Stores, tmp_path: Path) -> None:
    publish(stores, tmp_path, 60)
    stores.feedback.put("7", scored())
    found = json.loads(json.dumps(report(stores).to_dict(), allow_nan=False))
    assert found["scores"]["threshold"]["threshold"] == 0.25
    assert found["versions"][0]["classes"][0]["agreement"]["tasks"] == 20


def test_an_unknown_project_is_told_those_there_are(stores: Stores, tmp_path: Path) -> None:
    stores.projects.remember(Project("10", ""))
    with pytest.raises(NotFoundError, match="no project '9'; it knows: 7, 10"):
        ReportService(stores).report("9")
    with pytest.raises(NotFoundError, match="connect it in Label Studio first"):
        ReportService(open_stores(Settings(home=tmp_path / "new"))).report("9")


def test_objects_that_nobody_sees_are_said_of_the_live_version_alone(stores: Stores, tmp_path: Path) -> None:
    live = publish(stores, tmp_path, 60)
    assert report(stores).not_shown == ""
    stores.feedback.set_next_chunk("7", {"version": live, "left_out": {"crab": 1}, "empty": 1})
    assert report(stores).not_shown == (
        "1 object (1 of crab) is not shown, since correcting it would take longer than it saves; 1 task shows none for "
        "that reason. Corrections of pictures with crab help most."
    )
    stores.feedback.set_next_chunk("7", {"version": "boxstrap-7-0000", "left_out": {"crab": 1}, "empty": 1})
    assert report(stores).not_shown == ""
