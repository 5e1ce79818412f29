"""Which objects of a task an export takes, and whose they are."""

from __future__ import annotations

from typing import Any

import pytest

from backend.exports.task_objects import Take, annotated_size, chosen_prediction, split_of, task_objects
from backend.labelstudio.corrections import in_holdout
from backend.labelstudio.label_config import LabelConfig
from tests.backend.support.fake_people import FakeProject, box, config_of

CONFIG = LabelConfig.parse(config_of("crab", "fish"))


def people() -> tuple[FakeProject, dict[str, Any]]:
    """A project with one task, of which a crab (.9) and a fish (.4) are predicted."""
    project = FakeProject(7, tasks=1)
    return project, project.tasks[0]


def found(
    task: dict[str, Any], take: Take = Take.BOTH, min_score: float = 0.0
) -> list[tuple[str, str, float | None]] | None:
    objects = task_objects(task, CONFIG, take, "m1", min_score)
    return None if objects is None else [(each.region.label, each.source.value, each.score) for each in objects.objects]


def test_a_task_that_nobody_has_reviewed_has_what_is_predicted() -> None:
    _, task = people()
    assert found(task) == [("crab", "predicted", 0.9), ("fish", "predicted", 0.4)]
    assert found(task, min_score=0.5) == [("crab", "predicted", 0.9)]
    assert found(task, Take.ANNOTATIONS) is None


def test_what_people_left_is_accepted_and_what_they_changed_is_theirs() -> None:
    project, task = people()
    project.submit(task, "move")
    assert found(task) == [("crab", "human", None), ("fish", "accepted", None)]
    assert found(task, Take.PREDICTIONS) == [("crab", "predicted", 0.9), ("fish", "predicted", 0.4)]


def test_a_task_of_which_people_deleted_everything_is_reviewed_and_empty() -> None:
    project, task = people()
    project.submit(task, "clear")
    objects = task_objects(task, CONFIG, Take.BOTH, "m1", 0.0)
    assert objects is not None and objects.objects == () and objects.reviewed


def test_a_submitted_task_without_anything_is_reviewed_and_empty() -> None:
    _, task = people()
    task["predictions"] = []
    task["annotations"] = [{"id": 5, "result": [], "was_cancelled": False}]
    assert found(task) == []


def test_classes_alone_and_skipped_tasks_are_no_review() -> None:
    project, task = people()
    project.choose(task, "crab")
    assert found(task, Take.ANNOTATIONS) is None and found(task) is not None
    task["annotations"] = []
    project.skip(task)
    assert found(task, Take.ANNOTATIONS) is None


def test_an_empty_prediction_says_nothing() -> None:
    _, task = people()
    task["predictions"][0]["result"] = []
    assert found(task) is None


def test_the_prediction_that_the_project_shows_comes_before_newer_ones() -> None:
    _, task = people()
    task["predictions"].append({"id": 99, "model_version": "m2", "result": [box("x", "fish", 1, score=0.7)]})
    assert found(task) == [("crab", "predicted", 0.9), ("fish", "predicted", 0.4)]
    newest = chosen_prediction(task, "Boxstrap")
    assert newest is not None and newest["model_version"] == "m2"


@pytest.mark.parametrize(("data", "split"), [({"split": "test"}, "test"), ({"split": ""}, None), ({}, None)])
def test_a_task_keeps_its_split_and_a_fifth_of_the_corrected_ones_is_for_validation(
    data: dict[str, str], split: str | None
) -> None:
    project = FakeProject(7, tasks=20)
    for task in project.tasks:
        task["data"] |= data
        project.submit(task, "move")
        objects = task_objects(task, CONFIG, Take.BOTH, "m1", 0.0)
        assert objects is not None
        assert split_of(task, objects, "7") == (split or ("val" if in_holdout("7", task["id"]) else "train"))


def test_the_size_of_a_picture_is_what_regions_say() -> None:
    _, task = people()
    assert annotated_size(task) == (200, 100)
    assert (
        annotated_size({"annotations": [{"result": [{"original_width": "x"}, None]}, 3], "predictions": None}) is None
    )
