"""Predictions for whole projects, chunk by chunk, whatever happens to the worker and to Label Studio meanwhile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from backend.queueing.messages import PreannotationChunk
from backend.queueing.queue import BULK
from backend.storage.version_facts import VersionFacts
from backend.wording import left_out_sentence
from tests.backend.support.fake_project import PROJECT, FakeLabelStudio, drawn_box
from tests.backend.support.real_services import Workers, bulk_jobs, is_running, wait_for
from tests.backend.support.trainings import Trainings

CHUNKS_OF_THREE = """
from backend.jobs import preannotate
preannotate.CHUNK = 3
"""
DIES_AFTER_STORING = (
    CHUNKS_OF_THREE
    + """
import os
from backend.labelstudio.client import LabelStudioClient
real, stored = LabelStudioClient.import_predictions, []
def dies(self, *given):
    real(self, *given)
    stored.append(given)
    if len(stored) == 2:
        os.kill(os.getpid(), 9)
LabelStudioClient.import_predictions = dies
"""
)


@pytest.fixture
def version(trainings: Trainings, model: Path) -> str:
    return trainings.stores.models.publish(PROJECT, model, VersionFacts(run="a"))


def test_every_task_gets_a_prediction_chunk_by_chunk(
    trainings: Trainings, workers: Workers, version: str, label_studio: FakeLabelStudio
) -> None:
    trainings.service.preannotate(PROJECT)
    trainings.service.preannotate(PROJECT)
    workers.start("predict", CHUNKS_OF_THREE)
    wait_for(trainings.preannotation_ended)
    assert label_studio.predictions(version) == Counter(range(1, 11))
    assert left_out_sentence(trainings.left_out(version, 10), 10) in workers.log()
    assert all(task["predictions"][0]["result"] for task in label_studio.tasks)


def test_again_stores_nothing_again(
    trainings: Trainings, workers: Workers, version: str, label_studio: FakeLabelStudio
) -> None:
    label_studio.store(4, {"model_version": version, "result": []})
    trainings.service.preannotate(PROJECT)
    workers.start("predict")
    wait_for(trainings.preannotation_ended)
    trainings.forget_progress(f"bulk-{PROJECT}")
    trainings.service.preannotate(PROJECT)
    wait_for(trainings.preannotation_ended)
    assert label_studio.predictions(version) == Counter(range(1, 11))


def test_tasks_that_come_later_are_predicted_and_the_others_not_read_again(
    trainings: Trainings, workers: Workers, version: str, label_studio: FakeLabelStudio
) -> None:
    trainings.service.preannotate(PROJECT)
    workers.start("predict", CHUNKS_OF_THREE)
    wait_for(trainings.preannotation_ended)
    wait_for(lambda: not bulk_jobs(trainings.queue))
    trainings.queue.sync_annotations(PROJECT)
    wait_for(lambda: not bulk_jobs(trainings.queue))
    label_studio.tasks += [{**label_studio.task(1), "id": number, "predictions": []} for number in range(11, 15)]
    before = label_studio.asked[f"/api/projects/{PROJECT}/import/predictions"]
    trainings.queue.sync_annotations(PROJECT)
    wait_for(lambda: label_studio.predictions(version) == Counter(range(1, 15)))
    assert label_studio.asked[f"/api/projects/{PROJECT}/import/predictions"] - before == 2  # chunks of three
    wait_for(lambda: not bulk_jobs(trainings.queue))
    assert set(trainings.left_out(version, 14)) == {"fish", "ladybird"}


def test_what_people_have_drawn_or_skipped_is_left_alone(
    trainings: Trainings, workers: Workers, version: str, label_studio: FakeLabelStudio
) -> None:
    label_studio.task(2)["annotations"].append(drawn_box("fish"))
    label_studio.task(5)["annotations"] = [{"id": 3, "was_cancelled": True, "result": []}]
    trainings.service.preannotate(PROJECT)
    workers.start("predict", CHUNKS_OF_THREE)
    wait_for(trainings.preannotation_ended)
    assert label_studio.predictions(version) == Counter({1, 3, 4, 6, 7, 8, 9, 10})


def test_it_goes_on_after_its_worker_was_killed_and_stores_nothing_twice(
    trainings: Trainings, workers: Workers, version: str, label_studio: FakeLabelStudio, janitor: None
) -> None:
    trainings.service.preannotate(PROJECT)
    first = workers.start("predict", DIES_AFTER_STORING)
    wait_for(lambda: not is_running(first))
    assert label_studio.predictions(version) == Counter(range(1, 7))
    workers.start("predict", CHUNKS_OF_THREE)
    wait_for(trainings.preannotation_ended, 20)
    assert label_studio.predictions(version) == Counter(range(1, 11))


def test_a_label_studio_that_is_down_is_waited_for(
    trainings: Trainings, workers: Workers, version: str, label_studio: FakeLabelStudio, janitor: None
) -> None:
    label_studio.down = True
    trainings.service.preannotate(PROJECT)
    workers.start("predict")
    wait_for(lambda: "is tried again: Label Studio at" in workers.log())
    assert "Traceback" not in workers.log()
    label_studio.down = False
    wait_for(trainings.preannotation_ended)
    assert label_studio.predictions(version) == Counter(range(1, 11))


def test_a_version_that_is_not_live_any_more_stops(
    trainings: Trainings, workers: Workers, version: str, model: Path, label_studio: FakeLabelStudio
) -> None:
    trainings.service.preannotate(PROJECT)
    newer = trainings.stores.models.publish(PROJECT, model, VersionFacts(run="b"))
    workers.start("predict")
    wait_for(lambda: "another version is live" in workers.log())
    trainings.service.preannotate(PROJECT)
    wait_for(trainings.preannotation_ended)
    assert (label_studio.predictions(version), len(label_studio.predictions(newer))) == (Counter(), 10)


def test_a_picture_that_cannot_be_read_fails_its_task_only(
    trainings: Trainings, workers: Workers, version: str, label_studio: FakeLabelStudio, tmp_path: Path
) -> None:
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"no picture")
    label_studio.files[label_studio.task(3)["data"]["image"]] = torn
    trainings.service.preannotate(PROJECT)
    workers.start("predict")
    wait_for(trainings.preannotation_ended)
    assert label_studio.predictions(version) == Counter(range(1, 11))
    assert [task["id"] for task in label_studio.tasks if not task["predictions"][0]["result"]] == [3]


def test_an_error_that_stays_ends_it_once(
    trainings: Trainings, workers: Workers, version: str, label_studio: FakeLabelStudio
) -> None:
    label_studio.config = '<View><Text name="text" value="$text"/></View>'
    trainings.service.preannotate(PROJECT)
    workers.start("predict")
    wait_for(lambda: trainings.queue.counts()[BULK]["failed"])
    assert label_studio.asked[f"/api/projects/{PROJECT}/"] == 1


def test_a_new_version_begins_it(
    trainings: Trainings, workers: Workers, environment: dict[str, str], label_studio: FakeLabelStudio
) -> None:
    environment["PREANNOTATE"] = "1"
    workers.start("train")
    run = trainings.ends(trainings.start())
    (job,) = bulk_jobs(trainings.queue)
    assert run.version is not None
    assert job.args == [PreannotationChunk(PROJECT, run.version).to_dict()]
