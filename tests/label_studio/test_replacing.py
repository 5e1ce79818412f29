"""A new version's predictions in the place of the old ones, and the order of tasks, in a real Label Studio."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.labelstudio.annotations import MARK
from backend.labelstudio.drafts import is_ours
from backend.queueing.progress import PreannotationProgress
from backend.services.training import TrainingService
from backend.settings import Settings
from backend.storage.stores import open_stores
from backend.storage.version_facts import VersionFacts
from demo.project import label_config
from tests.backend.support.real_services import Nursery, bulk_jobs, wait_for
from tests.label_studio.conftest import PASSWORD, USER, Place
from tests.label_studio.own_workers import Workshop, workshop
from tests.label_studio.servers import eventually

pytestmark = pytest.mark.slow

AUTH = {"auth_method": "BASIC_AUTH", "basic_auth_user": USER, "basic_auth_pass": PASSWORD}
CLASSES = ("fish", "ladybird")
LONG_S = 180.0
CHUNKS_OF_FOUR = """
from backend.jobs import preannotate
preannotate.CHUNK = 4
"""
# So that a kill comes where it should, however quick the machines are.
SLOWLY = (
    CHUNKS_OF_FOUR
    + """
import time
from backend.labelstudio.client import LabelStudioClient
for name in ("change_prediction", "delete_prediction", "import_predictions"):
    def slowly(self, *args, real=getattr(LabelStudioClient, name), **values):
        time.sleep(0.2)
        done = real(self, *args, **values)
        time.sleep(0.2)
        return done
    setattr(LabelStudioClient, name, slowly)
"""
)

Json = dict[str, Any]


class Project:
    """A project of twenty pictures whose class stands in their data, so that no task counts as labelled."""

    def __init__(self, place: Place, at: Workshop, model: Path, title: str) -> None:
        self.person, self.at, self._model = place.person, at, model
        self.training = TrainingService(at.settings, at.stores, at.queue)
        self.number = self.person.make(title, label_config(CLASSES))
        self.name = str(self.number)
        web, folder = place.web, place.folder
        pictures = [(path, name) for name in CLASSES for path in place.drawn[name][:10]]
        self.person.import_tasks(
            self.number, [{"image": f"{web}/{path.relative_to(folder)}", "label": name} for path, name in pictures]
        )
        self._published = 0

    def publish(self) -> str:
        """A new live version, that nobody has told Label Studio of."""
        self._published += 1
        return self.at.stores.models.publish(self.name, self._model, VersionFacts(run=f"{self._published}"))

    def preannotate(self) -> None:
        """Begins it; the workers do the rest."""
        self.at.queue.progress.report_preannotation(self.name, PreannotationProgress(""))
        self.training.preannotate(self.name)

    def wait(self) -> None:
        """Until the pre-annotation has ended."""
        wait_for(lambda: (found := self.at.queue.progress.of_preannotation(self.name)) and found.ended, LONG_S)
        wait_for(lambda: not bulk_jobs(self.at.queue))

    def finish(self, before: str = CHUNKS_OF_FOUR) -> None:
        """All of it, by a worker that runs some Python first."""
        self.preannotate()
        worker = self.at.workers.start("predict", before)
        self.wait()
        self.at.workers.kill(worker)

    def predictions(self) -> dict[int, list[Json]]:
        """Task -> its predictions."""
        return {task["id"]: task["predictions"] for task in self.person.tasks(self.number)}

    def versions(self) -> dict[int, list[str]]:
        """Task -> versions of its predictions."""
        return {task: [each["model_version"] for each in found] for task, found in self.predictions().items()}

    def settings(self) -> Json:
        return dict(self.person.call("GET", f"/api/projects/{self.number}/"))

    def change_settings(self, **changes: Any) -> None:
        self.person.call("PATCH", f"/api/projects/{self.number}/", json=changes)

    def open(self) -> list[int]:
        """The tasks that nobody has worked on."""
        tasks = self.person.tasks(self.number)
        return [task["id"] for task in tasks if not task["annotations"] and not task["draft_exists"]]

    def annotate(self, task: int, result: list[Json], **more: Any) -> None:
        values = {"result": result, "lead_time": 1.0, **more}
        self.person.call("POST", f"/api/tasks/{task}/annotations/", json=values)


@pytest.fixture(scope="module")
def at(place: Place, nursery: Nursery) -> Iterator[Workshop]:
    with workshop(place, nursery) as found:
        yield found


@dataclass(frozen=True)
class Kept:
    """A project with a version's predictions, and the versions of those that are to stay as they are."""

    project: Project
    versions: dict[int, list[str]]
    other_backends: int


@pytest.fixture(scope="module")
def kept(place: Place, at: Workshop, model: Path) -> Kept:
    """People have drawn in a task, skipped one, begun one, and deleted all boxes of one; one has another's too."""
    project = Project(place, at, model, "replacing")
    old = project.publish()
    project.finish()
    predicted = project.predictions()
    assert project.versions() == {task: [old] for task in predicted}
    drawn, skipped, begun, emptied, other_backends = list(predicted)[:5]
    place.person.draw({"id": drawn}, "fish", (10, 20, 50, 60))
    project.annotate(skipped, [], was_cancelled=True)
    place.person.call("POST", f"/api/tasks/{begun}/drafts", json={"result": [], "lead_time": 1.0})
    project.annotate(emptied, [], parent_prediction=predicted[emptied][0]["id"])
    other = [{"task": other_backends, "result": [], "model_version": "yolo"}]
    place.person.call("POST", f"/api/projects/{project.number}/import/predictions", json=other)
    return Kept(project, {task: [old] for task in (drawn, skipped, begun, emptied)}, other_backends)


@pytest.mark.parametrize("after", [1, 11])
def test_a_kill_leaves_no_task_without_a_prediction_and_later_each_has_one(kept: Kept, after: int) -> None:
    project = kept.project
    # Some have two old ones, as after "Retrieve predictions" in Label Studio.
    old = [
        {"task": task, "result": [], "model_version": f"boxstrap-{project.name}-0000"} for task in project.open()[::3]
    ]
    project.person.call("POST", f"/api/projects/{project.name}/import/predictions", json=old)
    new = project.publish()
    project.preannotate()
    first = project.at.workers.start("predict", SLOWLY)
    wait_for(lambda: sum(new in found for found in project.versions().values()) >= after, LONG_S)
    project.at.workers.kill(first)
    found = project.versions()
    assert after <= sum(new in versions for versions in found.values()) < 16
    assert all(set(versions) - {"yolo"} for versions in found.values())

    second = project.at.workers.start("predict", CHUNKS_OF_FOUR)
    project.wait()
    project.at.workers.kill(second)
    found = project.versions()
    assert {task: found.pop(task) for task in kept.versions} == kept.versions
    assert sorted(found.pop(kept.other_backends)) == [new, "yolo"]
    assert list(found.values()) == [[new]] * 15


def test_drafts_follow_the_version_until_a_person_changes_or_submits_them(
    place: Place, at: Workshop, model: Path
) -> None:
    project = Project(place, at, model, "drafts")
    followed, changed, submitted = project.open()[:3]
    for task in (followed, changed, submitted):
        place.person.choose({"id": task}, "fish")

    def drafts() -> dict[int, list[Json]]:
        return {task["id"]: task["drafts"] for task in place.person.tasks(project.number) if task["drafts"]}

    def ids(result: list[Json]) -> set[str]:
        return {each["id"] for each in result}

    project.publish()
    project.finish()
    before = drafts()
    assert sorted(before) == [followed, changed, submitted]
    assert all(len(found) == 1 and is_ours(found[0]) for found in before.values())
    [draft] = before[changed]
    edited = [{key: value for key, value in each.items() if key != MARK} for each in draft["result"]]
    place.person.call("PATCH", f"/api/drafts/{draft['id']}/", json={"result": edited})  # as the editor saves it
    [draft] = before[submitted]
    values = {"result": [{**each, "origin": "prediction"} for each in draft["result"]], "draft_id": draft["id"]}
    place.person.call("PATCH", f"/api/annotations/{draft['annotation']}/", json=values)
    project.publish()
    project.finish()
    project.finish()  # once more changes nothing
    after, tasks = drafts(), {task["id"]: task for task in place.person.tasks(project.number)}
    assert sorted(after) == [followed, changed]
    assert after[changed][0]["result"] == edited
    [draft] = after[followed]
    assert draft["id"] == before[followed][0]["id"]
    [prediction] = tasks[followed]["predictions"]
    assert ids(draft["result"]) == ids(prediction["result"]) != ids(before[followed][0]["result"])
    assert [each["type"] for each in tasks[followed]["annotations"][0]["result"]] == ["choices"]


@pytest.mark.parametrize("webhook", [True, False])
def test_tasks_that_come_later_are_predicted_within_a_minute(
    place: Place, model: Path, monkeypatch: pytest.MonkeyPatch, webhook: bool
) -> None:
    number = place.person.make(f"later, webhook {webhook}", label_config(CLASSES))
    addresses = [f"{place.web}/{path.relative_to(place.folder)}" for path in place.drawn["fish"][:10]]
    tasks = [{"image": address, "label": "fish"} for address in addresses]
    place.person.import_tasks(number, tasks[:2])
    place.person.connect(number, place.url, **AUTH)
    version = open_stores(Settings(home=place.home)).models.publish(str(number), model, VersionFacts(run="later"))
    monkeypatch.setenv("BOXSTRAP_HOME", str(place.home))
    assert main(["preannotate", str(number), "--json"]) == 0
    eventually(lambda: len(place.person.predictions(number, version)) == 2, LONG_S, "the first two", place.log)
    [hook] = place.person.call("GET", "/api/webhooks/", params={"project": number})
    place.person.call("PATCH", f"/api/webhooks/{hook['id']}/", json={"is_active": webhook})
    time.sleep(1)  # the first pre-annotation ends
    place.person.import_tasks(number, tasks * 2)
    eventually(lambda: len(place.person.predictions(number, version)) == 22, 60, "twenty later ones", place.log)
    assert all(each["result"] for each in place.person.predictions(number, version))


def test_who_has_a_task_open_meanwhile_can_submit_it(kept: Kept) -> None:
    project = kept.project
    task = project.open()[-1]
    [shown] = project.predictions()[task]
    new = project.publish()
    project.finish()
    assert project.versions()[task] == [new]
    project.annotate(task, shown["result"], parent_prediction=shown["id"])
    with pytest.raises(RuntimeError, match="object does not exist"):  # what deleting it would have led to
        project.annotate(project.open()[-1], shown["result"], parent_prediction=10**6)


def test_the_project_goes_on_with_the_new_version_where_it_showed_an_old_one(
    place: Place, at: Workshop, model: Path
) -> None:
    project = Project(place, at, model, "shown")
    place.person.connect(project.number, place.url, **AUTH)
    project.publish()
    project.finish()
    assert project.settings()["model_version"] == "Boxstrap"  # live, as connecting has set it
    project.change_settings(model_version=f"boxstrap-{project.name}-0001")
    new = project.publish()
    project.finish()
    assert project.settings()["model_version"] == new
    project.change_settings(model_version="")
    project.publish()
    project.finish()
    assert project.settings()["model_version"] == ""


def test_the_next_task_is_the_least_certain_of_the_class_with_the_fewest_corrections(
    place: Place, at: Workshop, model: Path
) -> None:
    project = Project(place, at, model, "order")
    place.person.connect(project.number, place.url, **AUTH)
    at.stores.policies.change(project.name, sampling="uncertainty")
    corrected = Counter(dict.fromkeys(CLASSES, 0))
    for _ in range(2):
        new = project.publish()
        project.finish()
        settings = project.settings()
        assert (settings["sampling"], settings["model_version"]) == ("Uncertainty sampling", new)
        for _ in range(4):
            expected = least_certain(project, corrected)
            assert len(expected) < 5  # scores differ, or this says nothing
            task = place.person.call("GET", f"/api/projects/{project.name}/next")
            assert task["id"] in expected
            assert {each["model_version"] for each in task["predictions"]} == {new}
            place.person.draw(task, task["data"]["label"], (10, 20, 50, 60))
            corrected[task["data"]["label"]] += 1
    assert set(corrected.values()) == {4}
    at.stores.policies.change(project.name, sampling="sequential")
    project.finish()
    settings = project.settings()
    assert (settings["sampling"], settings["model_version"]) == ("Sequential sampling", "Boxstrap")


def least_certain(project: Project, corrected: Counter[str]) -> set[int]:
    """The open tasks with the lowest score, of the class that was corrected least."""
    tasks = [task for task in project.person.tasks(project.number) if not task["annotations"]]
    order = {task["id"]: (corrected[task["data"]["label"]], task["predictions"][0]["score"]) for task in tasks}
    return {task for task, rank in order.items() if rank == min(order.values())}
