"""The protocol as Label Studio 1.23 speaks it, but for /predict."""

from __future__ import annotations

import time
from pathlib import Path

from rq import Queue
from rq.serializers import JSONSerializer

from backend.queueing.queue import BULK, TRAIN
from tests.backend.web.serving import CONFIG, Site, code_of

SETUP = {
    "project": "7.1795206333",
    "schema": CONFIG,
    "hostname": "http://localhost:18080",
    "access_token": "legacy-token-of-the-creator",
    "extra_params": {"threshold": 0.5},
}
START = {"action": "START_TRAINING", "project": {"id": 7, "title": "Fish", "label_config": CONFIG, "token": "x"}}


def trainings(site: Site) -> int:
    return site.queue.counts()[TRAIN]["queued"]


def test_health_is_json_and_quick(site: Site) -> None:
    start = time.monotonic()
    answer = site.client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "UP", "model_class": "Boxstrap"})
    assert time.monotonic() - start < 3


def test_setup_names_a_version_before_there_is_one(site: Site) -> None:
    assert site.post("/setup", SETUP).json() == {"model_version": "boxstrap-7-untrained"}


def test_setup_names_the_live_version(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    assert site.publish(tmp_path, run="second") == "boxstrap-7-0002"
    assert site.post("/setup", SETUP).json() == {"model_version": "boxstrap-7-0002"}


def test_setup_may_be_repeated_and_changes_nothing(site: Site) -> None:
    first = site.post("/setup", SETUP)
    record = site.settings.home / "projects" / "7.json"
    written = record.stat().st_mtime_ns
    assert site.post("/setup", SETUP).json() == first.json()
    assert record.stat().st_mtime_ns == written


def test_setup_keeps_the_config_and_the_address_but_not_the_token(site: Site) -> None:
    site.post("/setup", SETUP)
    project = site.stores.projects.find("7")
    assert project is not None
    assert (project.label_config, project.hostname) == (CONFIG, "http://localhost:18080")
    kept = b"".join(path.read_bytes() for path in site.settings.home.rglob("*") if path.is_file())
    assert b"legacy-token" not in kept


def test_setup_takes_parameters_as_text_and_as_null(site: Site) -> None:
    for extra in ('{"threshold": 1}', None, [], 3):
        assert site.post("/setup", {**SETUP, "extra_params": extra, "hostname": None}).status_code == 200


def test_half_of_a_surrogate_pair_is_kept_as_a_question_mark(site: Site) -> None:
    assert site.post("/setup", {**SETUP, "schema": "<View>\ud800</View>", "hostname": "\udfff"}).status_code == 200
    project = site.stores.projects.find("7")
    assert project is not None and (project.label_config, project.hostname) == ("<View>?</View>", "?")


def test_setup_takes_the_project_as_a_number(site: Site) -> None:
    assert site.post("/setup", {"project": 12, "schema": CONFIG}).json() == {"model_version": "boxstrap-12-untrained"}


def test_setup_refuses_what_is_no_project(site: Site) -> None:
    for project in ("", "../7", "x.17", None, [7], -7, 10**40):
        answer = site.post("/setup", {**SETUP, "project": project})
        assert (answer.status_code, code_of(answer)) == (422, "bad_request")
    assert not (site.settings.home / "projects").exists()


def test_start_training_gives_a_job_at_once_and_the_same_again(site: Site) -> None:
    site.set_up()
    start = time.monotonic()
    first = site.post("/webhook", START)
    assert time.monotonic() - start < 3
    assert first.status_code == 201
    assert site.stores.runs.read(first.json()["job"]).state == "queued"
    assert site.post("/webhook", START).json()["job"] == first.json()["job"]
    assert trainings(site) == 1


def test_start_training_of_two_projects_gives_two_jobs(site: Site) -> None:
    jobs = {site.post("/webhook", {**START, "project": {"id": number}}).json()["job"] for number in (7, 8)}
    assert len(jobs) == trainings(site) == 2


def test_other_events_are_noted_and_train_nothing(site: Site) -> None:
    site.set_up()
    project = {"id": 7, "title": "Fish", "label_config": CONFIG, "parsed_label_config": {}, "model_version": None}
    annotation = {"id": 1, "result": [], "was_cancelled": False, "task": 1}
    events = [
        {"action": "ANNOTATION_CREATED", "annotation": annotation, "task": {"id": 1, "data": {}}},
        {"action": "ANNOTATIONS_CREATED", "annotation": [annotation], "task": [{"id": 1}]},
        {"action": "ANNOTATION_UPDATED", "annotation": annotation},
        {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}]},
        {"action": "TASKS_CREATED", "tasks": [{"id": 1}]},
        {"action": "SOMETHING_OF_LABEL_STUDIO_2"},
    ]
    for event in events:
        assert site.post("/webhook", {**event, "project": project}).status_code == 200
        assert site.post("/webhook", event).status_code == 200
    assert trainings(site) == 0


def waiting(site: Site) -> list[str]:
    """Jobs that wait behind predictions."""
    return Queue(BULK, connection=site.queue.connection, serializer=JSONSerializer).job_ids


def test_every_event_of_a_known_project_has_a_worker_look_once(site: Site) -> None:
    site.set_up()
    for action in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "TASKS_CREATED", "PROJECT_UPDATED"):
        site.post("/webhook", {"action": action, "project": {"id": 7}})
    assert waiting(site) == ["observe-7"]
    assert site.queue.requested_syncs("7") == {"changes": 4}
    for action in ("ANNOTATIONS_DELETED", "TASKS_DELETED"):
        site.post("/webhook", {"action": action, "project": {"id": 7}})
    assert waiting(site) == ["observe-7"]
    assert site.queue.requested_syncs("7") == {"changes": 4, "full": 2}


def test_events_of_other_projects_and_the_button_give_a_worker_nothing_to_look_at(site: Site) -> None:
    site.set_up()
    site.post("/webhook", {"action": "ANNOTATION_CREATED", "project": {"id": 8}})
    site.post("/webhook", START)
    assert waiting(site) == []


def test_an_event_is_answered_in_milliseconds(site: Site) -> None:
    """Label Studio's annotators wait for it."""
    site.set_up()
    times = []
    for _ in range(21):
        start = time.monotonic()
        site.post("/webhook", {"action": "ANNOTATION_UPDATED", "project": {"id": 7, "label_config": CONFIG}})
        times.append(time.monotonic() - start)
    assert sorted(times)[10] < 0.2


def test_an_event_brings_the_new_config_and_title_of_a_known_project_only(site: Site) -> None:
    site.set_up()
    for number in (7, 8):
        project = {"id": number, "title": "Fish", "label_config": "<View/>"}
        assert site.post("/webhook", {"action": "PROJECT_UPDATED", "project": project}).status_code == 200
    assert site.post("/webhook", {"action": "TASKS_CREATED", "project": {"id": 7}}).status_code == 200
    [known] = site.stores.projects.all()
    assert (known.id, known.title, known.label_config) == ("7", "Fish", "<View/>")
    site.set_up()
    [known] = site.stores.projects.all()
    assert (known.title, known.label_config) == ("Fish", CONFIG)


def test_train_is_the_button_by_another_name(site: Site) -> None:
    job = site.post("/webhook", START).json()["job"]
    answer = site.post("/train", {"project": "7.17", "annotations": []})
    assert (answer.status_code, answer.json()) == (201, {"job": job})


def test_job_status_speaks_of_the_run(site: Site) -> None:
    job = site.post("/train", {"project": 7}).json()["job"]
    assert site.post("/job_status", {"job": job}).json() == {
        "job_status": "queued",
        "result": {"state": "queued", "version": None, "reason": "", "progress": None},
    }
    site.stores.runs.update(job, state="running")
    site.queue.progress.report_run(job, {"stage": "classify", "epoch": 2})
    status = site.post("/job_status", {"job": job}).json()
    assert (status["job_status"], status["result"]["progress"]["epoch"]) == ("started", 2)
    site.stores.runs.update(job, state="succeeded", version="boxstrap-7-0001")
    assert site.post("/job_status", {"job": job}).json()["job_status"] == "finished"


def test_job_status_knows_no_other_jobs(site: Site) -> None:
    for job in ("7-20260101-000000-abcdef", "../projects", "", "x" * 500):
        answer = site.post("/job_status", {"job": job})
        assert (answer.status_code, code_of(answer)) == (404, "not_found")


def test_versions_of_all_projects_and_of_one(site: Site, tmp_path: Path) -> None:
    assert site.client.get("/versions").json() == {"versions": []}
    for project in ("7", "8", "7"):
        site.publish(tmp_path, project)
    everything = ["boxstrap-7-0002", "boxstrap-7-0001", "boxstrap-8-0001"]
    assert site.client.get("/versions").json() == {"versions": everything}
    assert site.client.get("/versions?project=8.17").json() == {"versions": ["boxstrap-8-0001"]}
    assert site.client.get("/versions?project=9").json() == {"versions": []}
