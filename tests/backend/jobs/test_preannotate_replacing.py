"""A new version's predictions in the place of older ones, whoever works on the tasks or dies meanwhile.

That the real Label Studio does what the fake one does here is tested in label_studio/test_replacing.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.jobs.preannotate import class_doubt
from backend.jobs.predict import Predicted
from backend.labelstudio.empty_prediction import empty_prediction
from backend.storage.ledger_rows import ClassDoubt, LedgerRow, Outcome
from backend.storage.version_facts import VersionFacts
from tests.backend.support.fake_project import PROJECT, FakeLabelStudio, choice, drawn_box
from tests.backend.support.real_services import Workers, is_running, wait_for
from tests.backend.support.trainings import Trainings
from wsol_core.localization.model_card import ModelCard
from wsol_core.records import Localization

CHUNKS_OF_THREE = """
from backend.jobs import preannotate
preannotate.CHUNK = 3
"""
DIES_AMID_A_CHUNK = (
    CHUNKS_OF_THREE
    + """
import os
from backend.labelstudio.client import LabelStudioClient
real, changed = LabelStudioClient.change_prediction, []
def dies(self, number, **changes):
    done = real(self, number, **changes)
    changed.append(number)
    if len(changed) == 5:
        os.kill(os.getpid(), 9)
    return done
LabelStudioClient.change_prediction = dies
"""
)
DOUBTS_EVERYTHING = """
from backend.jobs import preannotate
from backend.storage.ledger_rows import ClassDoubt
preannotate.class_doubt = lambda found, card: ClassDoubt(found.labels, "crab", 1.0)
"""
SOMEBODY_ALWAYS_WAITS = """
from backend.queueing.queue import JobQueue
JobQueue.is_waited_for = lambda self: True
"""
OLD, SHOWN = f"boxstrap-{PROJECT}-0000", [{"type": "rectanglelabels", "value": {"rectanglelabels": ["fish"]}}]

Finish = Callable[..., None]


@pytest.fixture
def version(trainings: Trainings, model: Path) -> str:
    return trainings.stores.models.publish(PROJECT, model, VersionFacts(run="a"))


@pytest.fixture
def preannotated(trainings: Trainings, workers: Workers, version: str, janitor: None) -> Finish:
    """Pre-annotates the project, by a worker that runs some Python first."""

    def finish(before: str = CHUNKS_OF_THREE, anew: bool = False) -> None:
        trainings.forget_progress(f"bulk-{PROJECT}")
        trainings.service.preannotate(PROJECT, anew=anew)
        worker = workers.start("predict", before)
        wait_for(trainings.preannotation_ended)
        workers.kill(worker)

    return finish


def versions(label_studio: FakeLabelStudio) -> Counter[str]:
    return Counter(each["model_version"] for task in label_studio.tasks for each in task["predictions"])


def test_old_ones_are_written_over_and_those_of_others_stay(
    preannotated: Finish, trainings: Trainings, version: str, label_studio: FakeLabelStudio
) -> None:
    numbers = [label_studio.store(task, {"model_version": OLD, "result": SHOWN}) for task in range(1, 8)]
    label_studio.store(2, {"model_version": f"boxstrap-{PROJECT}-untrained", "result": []})
    label_studio.store(3, {"model_version": "yolo", "result": SHOWN})
    preannotated(CHUNKS_OF_THREE)
    assert versions(label_studio) == Counter({version: 10, "yolo": 1})
    assert label_studio.predictions(version) == Counter(range(1, 11))
    kept = [label_studio.task(task)["predictions"][0]["id"] for task in (1, 3, 4, 5, 6, 7)]
    assert kept == [number for task, number in enumerate(numbers, 1) if task != 2]  # whoever has them open can submit
    assert set(trainings.left_out(version, 10)) == {"fish", "ladybird"}


def test_a_versions_own_are_written_over_where_that_is_asked_for(
    preannotated: Finish, trainings: Trainings, version: str, label_studio: FakeLabelStudio
) -> None:
    numbers = [label_studio.store(task, {"model_version": version, "result": SHOWN}) for task in range(1, 8)]
    label_studio.task(2)["annotations"].append(drawn_box("fish"))
    preannotated(CHUNKS_OF_THREE)
    assert [label_studio.task(task)["predictions"][0]["result"] for task in range(1, 8)] == [SHOWN] * 7
    preannotated(CHUNKS_OF_THREE, anew=True)
    shown = [label_studio.task(task)["predictions"] for task in range(1, 8)]
    assert [each["id"] for [each] in shown] == numbers
    assert [each["result"] == SHOWN for [each] in shown] == [False, True, *[False] * 5]
    following = trainings.stores.feedback.next_chunk(PROJECT)
    assert following is not None and "anew" not in following  # tasks that come later have none yet


def test_what_people_have_worked_on_keeps_its_old_one(
    preannotated: Finish, version: str, label_studio: FakeLabelStudio
) -> None:
    for task in range(1, 11):
        label_studio.store(task, {"model_version": OLD, "result": SHOWN})
    label_studio.task(2)["annotations"].append(drawn_box("fish"))
    label_studio.task(5)["draft_exists"] = True
    began_from = label_studio.task(9)["predictions"][0]["id"]
    label_studio.task(9)["annotations"] = [{**choice("fish"), "parent_prediction": began_from}]
    preannotated(CHUNKS_OF_THREE)
    assert label_studio.predictions(OLD) == Counter({2, 5, 9})
    assert label_studio.predictions(version) == Counter({1, 3, 4, 6, 7, 8, 10})


def test_an_empty_one_that_an_annotation_names_is_not_written_over(
    preannotated: Finish, version: str, label_studio: FakeLabelStudio
) -> None:
    number = label_studio.store(1, {"model_version": f"boxstrap-{PROJECT}-untrained", "result": []})
    label_studio.task(1)["annotations"][0]["parent_prediction"] = number
    preannotated(CHUNKS_OF_THREE)
    assert versions(label_studio) == Counter({version: 10})
    assert label_studio.task(1)["predictions"][0]["id"] != number


def test_it_goes_on_after_a_kill_amid_a_chunk_and_leaves_one_a_task(
    trainings: Trainings, workers: Workers, version: str, label_studio: FakeLabelStudio, janitor: None
) -> None:
    for task in range(1, 11):
        label_studio.store(task, {"model_version": OLD, "result": SHOWN})
    trainings.service.preannotate(PROJECT)
    first = workers.start("predict", DIES_AMID_A_CHUNK)
    wait_for(lambda: not is_running(first))
    assert versions(label_studio) == Counter({version: 5, OLD: 5})
    workers.start("predict", CHUNKS_OF_THREE)
    wait_for(trainings.preannotation_ended, 20)
    assert versions(label_studio) == Counter({version: 10})


def test_a_chunk_ends_early_where_a_person_waits_and_the_rest_follows(
    preannotated: Finish, trainings: Trainings, version: str, label_studio: FakeLabelStudio
) -> None:
    for task in range(1, 11):
        label_studio.store(task, {"model_version": OLD, "result": SHOWN})
    preannotated(SOMEBODY_ALWAYS_WAITS)
    assert versions(label_studio) == Counter({version: 10})
    assert set(trainings.left_out(version, 10)) == {"fish", "ladybird"}
    assert label_studio.asked["/api/tasks/"] == 2 * 10  # a chunk a task


@pytest.mark.parametrize(
    ("shown", "afterwards"), [("Boxstrap", "Boxstrap"), ("", ""), (OLD, f"boxstrap-{PROJECT}-0001")]
)
def test_a_project_that_shows_an_old_version_shows_the_new_one(
    preannotated: Finish, label_studio: FakeLabelStudio, shown: str, afterwards: str
) -> None:
    label_studio.project["model_version"] = shown
    preannotated("")
    assert label_studio.project["model_version"] == afterwards
    assert label_studio.project["sampling"] == "Sequential sampling"


def test_a_version_that_predicts_nothing_is_not_shown(preannotated: Finish, label_studio: FakeLabelStudio) -> None:
    label_studio.project["model_version"] = OLD
    for task in label_studio.tasks:
        task["annotations"].append(drawn_box("fish"))
    preannotated("")
    assert label_studio.project["model_version"] == OLD


def test_by_uncertainty_the_version_itself_is_shown_and_classes_are_clusters(
    preannotated: Finish, trainings: Trainings, version: str, label_studio: FakeLabelStudio
) -> None:
    preannotated("")
    assert {each["cluster"] for task in label_studio.tasks for each in task["predictions"]} == {None}
    trainings.stores.policies.change(PROJECT, sampling="uncertainty")
    preannotated(CHUNKS_OF_THREE)
    assert (label_studio.project["sampling"], label_studio.project["model_version"]) == (
        "Uncertainty sampling",
        version,
    )
    assert versions(label_studio) == Counter({version: 10})
    clusters: dict[str, set[int]] = {}
    for task in label_studio.tasks:
        [label] = task["annotations"][0]["result"][0]["value"]["choices"]
        clusters.setdefault(label, set()).add(task["predictions"][0]["cluster"])
    assert sorted(map(len, clusters.values())) == [1, 1] and len(set.union(*clusters.values())) == 2
    trainings.stores.policies.change(PROJECT, sampling="uniform")
    preannotated("")
    assert (label_studio.project["sampling"], label_studio.project["model_version"]) == ("Uniform sampling", "Boxstrap")


def test_the_threshold_of_the_project_counts(
    preannotated: Finish, trainings: Trainings, label_studio: FakeLabelStudio
) -> None:
    trainings.stores.policies.change(PROJECT, score_threshold=1.0)
    preannotated("")
    kinds = {each["type"] for task in label_studio.tasks for each in task["predictions"][0]["result"]}
    assert kinds == {"choices"}  # boxes are what the threshold takes away


def test_doubts_are_noted_of_pictures_that_people_gave_a_class(
    preannotated: Finish, trainings: Trainings, label_studio: FakeLabelStudio
) -> None:
    label_studio.task(4)["annotations"] = []
    preannotated(DOUBTS_EVERYTHING)
    feedback = trainings.stores.feedback
    feedback.put(PROJECT, [LedgerRow(task, Outcome.OPEN, ()) for task in range(1, 11)])
    doubts = {row.task: row.doubt for row in feedback.rows(PROJECT)}
    assert [task for task, found in doubts.items() if found is None] == [4]
    assert doubts[1] is not None and doubts[1].seen == "crab" and doubts[1].given


@pytest.mark.parametrize(
    ("given", "fish", "multi_label", "expected"),
    [
        (("crab",), 0.8, False, ClassDoubt(("crab",), "fish", 0.8)),
        (("crab",), 0.79, False, None),
        (("crab", "fish"), 0.9, False, None),
        (("crab",), 0.9, True, None),
    ],
)
def test_a_class_that_nobody_has_given_raises_doubts(
    model: Path, given: tuple[str, ...], fish: float, multi_label: bool, expected: ClassDoubt | None
) -> None:
    values = json.loads((model / "model.json").read_text(encoding="utf-8"))
    card = ModelCard.from_dict({**values, "classes": ["crab", "fish"], "multi_label": multi_label})
    localization = Localization("a", (10, 10), {"crab": 1 - fish, "fish": fish})
    assert class_doubt(Predicted(empty_prediction("v"), localization, given), card) == expected
