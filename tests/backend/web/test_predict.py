"""/predict: one prediction a task, in their order, all of the version that /setup names."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest

from tests.backend.web.serving import CONFIG, Site, code_of, one_each, predict_worker, task

PARAMS = {"login": None, "password": None, "context": None}


def call(*tasks: Any, **changes: object) -> dict[str, object]:
    return {"tasks": list(tasks), "project": "7.17", "label_config": CONFIG, "params": PARAMS, **changes}


def test_before_the_first_version_every_task_gets_an_empty_prediction_of_the_version_of_setup(site: Site) -> None:
    version = site.post("/setup", {"project": "7.17", "schema": CONFIG}).json()["model_version"]
    answer = site.post("/predict", call(*map(task, range(5))))
    assert answer.status_code == 200
    assert answer.json() == {"results": [{"result": [], "score": 0.0, "model_version": version}] * 5}


def test_a_worker_answers_in_the_order_of_the_tasks(site: Site, tmp_path: Path) -> None:
    version = site.publish(tmp_path)
    numbers = [5, 3, 9, 1]
    with predict_worker(site.queue, one_each) as calls:
        results = site.post("/predict", call(*map(task, numbers))).json()["results"]
    assert [result["score"] for result in results] == numbers
    assert {result["model_version"] for result in results} == {version}
    assert len(calls) == 1
    assert (calls[0]["project_id"], calls[0]["version"], calls[0]["context"]) == ("7", version, None)


def test_no_tasks_are_no_predictions(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    assert site.post("/predict", call()).json() == {"results": []}


def test_project_and_config_may_be_missing_where_they_are_known(site: Site) -> None:
    site.set_up()
    assert len(site.post("/predict", {"tasks": [task(1)]}).json()["results"]) == 1


def test_a_config_that_nobody_has_is_asked_for(site: Site) -> None:
    answer = site.post("/predict", {"tasks": [task(1)]})
    assert (answer.status_code, code_of(answer)) == (422, "bad_request")
    assert "/setup" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tasks": None},
        {"tasks": {}},
        {"tasks": [1]},
        {"tasks": [None]},
        {"tasks": []},
        {"tasks": [{}], "project": None},
        {"tasks": [{"project": "x"}]},
        {"tasks": [{"project": {}}], "project": {}},
        {"tasks": [], "project": "7", "label_config": 5},
        {"tasks": [], "project": "7", "params": [1]},
        {"tasks": [], "project": "7", "params": {"context": "x"}},
        [],
        None,
        "text",
        7,
    ],
)
def test_what_has_no_meaning_is_refused(site: Site, body: object) -> None:
    answer = site.post("/predict", body)
    assert (answer.status_code, code_of(answer)) == (422, "bad_request")


@pytest.mark.parametrize(
    "odd", [{}, {"id": None}, {"id": "x"}, {"id": 1, "data": None}, {"id": 1, "data": {"image": 5}}]
)
def test_an_odd_task_gets_its_entry_like_all_others(site: Site, tmp_path: Path, odd: dict[str, object]) -> None:
    site.publish(tmp_path)
    with predict_worker(site.queue, lambda sent: [{"result": [], "score": 0.0}] * len(sent["tasks"])):
        assert len(site.post("/predict", call(task(1), odd, task(2))).json()["results"]) == 3


def test_a_config_without_controls_is_named(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    for config in ("<View/>", "<View", "no XML", "<!DOCTYPE a [<!ENTITY b 'c'>]><View>&b;</View>"):
        answer = site.post("/predict", call(task(1), label_config=config))
        assert (answer.status_code, code_of(answer)) == (422, "bad_request")


def test_more_tasks_than_the_setting_are_refused(site: Site) -> None:
    most = site.settings.max_tasks
    assert len(site.post("/predict", call(*map(task, range(most)))).json()["results"]) == most
    answer = site.post("/predict", call(*map(task, range(most + 1))))
    assert (answer.status_code, code_of(answer)) == (413, "too_large")
    assert "MAX_TASKS" in answer.json()["error"]["message"]


@pytest.mark.slow
def test_without_a_worker_the_answer_is_an_error_in_time_and_nothing_is_left_waiting(
    site: Site, tmp_path: Path
) -> None:
    site.publish(tmp_path)
    start = time.monotonic()
    answer = site.post("/predict", call(task(1)))
    assert time.monotonic() - start < 3
    assert (answer.status_code, code_of(answer), answer.headers["retry-after"]) == (503, "busy", "5")
    assert "boxstrap worker predict" in answer.json()["error"]["message"]
    assert site.queue.counts()["boxstrap-predict"]["queued"] == 0


def test_a_prediction_that_fails_is_an_error_without_a_traceback(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    with predict_worker(site.queue, one_each, fails="Traceback (most recent call last):\n  File ...\nOops: no memory"):
        answer = site.post("/predict", call(task(1)))
    assert (answer.status_code, code_of(answer)) == (503, "busy")
    assert "Oops: no memory" in answer.json()["error"]["message"]


def test_a_wrong_number_of_predictions_is_no_answer(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    with predict_worker(site.queue, lambda sent: one_each(sent)[:-1]):
        code_of(site.post("/predict", call(task(1), task(2))))


def test_the_context_of_an_interactive_call_reaches_the_worker(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    context = {"result": [{"type": "rectanglelabels", "value": {"x": 70.04, "y": 7.98}}]}
    drawing = {**task(1), "drafts": [{"user": "ann@example.com", "result": [{}]}, "none", {"user": None}]}
    with predict_worker(site.queue, one_each) as calls:
        assert site.post("/predict", call(drawing, params={**PARAMS, "context": context})).status_code == 200
        assert site.post("/predict", call(drawing)).status_code == 200
    assert calls[0]["context"] == context
    assert [sent["tasks"][0].get("drafts") for sent in calls] == [[{"user": "ann@example.com"}], None]


def test_a_picture_inside_a_task_goes_to_the_worker_as_a_file(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    picture = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
    )
    reference = "data:image/png;base64," + base64.b64encode(picture).decode()
    with predict_worker(site.queue, one_each) as calls:
        assert site.post("/predict", call(task(1), task(2, image=reference))).status_code == 200
    [sent] = calls
    assert Path(sent["files"]["1"]).read_bytes() == picture
    assert "0" not in sent["files"]
    assert reference not in str(sent)


def test_a_torn_picture_inside_a_task_is_that_tasks_fault_only(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    with predict_worker(site.queue, one_each) as calls:
        answer = site.post("/predict", call(task(1), task(2, image="data:image/png;base64,####")))
    assert [result["score"] for result in answer.json()["results"]] == [1, 2]
    assert calls[0]["files"] == {}


def test_no_pixels_of_any_part_of_a_task_go_through_redis(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    inside = " data:image/png;base64,AAAA"
    annotation = {"result": [{"value": {"imageDataURL": inside, "choices": ["fish"]}}]}
    config = CONFIG.replace("$image", "$pictures.front")
    odd = {"id": 1, "data": {"pictures": {"front": inside}, "thumb": inside}, "annotations": [annotation]}
    with predict_worker(site.queue, one_each) as calls:
        assert site.post("/predict", call(odd, label_config=config)).status_code == 200
    assert "base64" not in str(calls[0]["tasks"])
    assert calls[0]["tasks"][0]["annotations"][0]["result"][0]["value"]["choices"] == ["fish"]
