"""/api, for people, scripts and the dashboard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rq import Worker

from backend.queueing.progress import PreannotationProgress
from backend.queueing.queue import BULK, PREDICT, TRAIN
from backend.storage.runs import RunState
from tests.backend.web.serving import Site, code_of


def project_of(site: Site, number: str = "7") -> dict[str, Any]:
    [found] = [found for found in site.client.get("/api/projects").json()["projects"] if found["id"] == number]
    return dict(found)


def start(site: Site) -> str:
    return str(site.post("/api/projects/7/train", {}).json()["id"])


def test_at_first_there_is_nothing(site: Site) -> None:
    assert site.client.get("/api/projects").json()["projects"] == []
    assert site.client.get("/api/runs").json() == {"runs": []}


def test_a_project_without_a_version(site: Site) -> None:
    site.set_up()
    assert project_of(site) == {
        "id": "7",
        "title": "",
        "label_studio": "",
        "remarks": [],
        "live_version": None,
        "versions": [],
        "active_runs": [],
        "loop": "No training starts by itself: neither a number of corrections nor a time is set to start one.",
        "latest_run": None,
        "preannotation": None,
    }


def test_a_project_with_versions_names_the_newest_first_and_the_live_one(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path, run="a", pictures=40, classes=["fish"], metrics={"holdout_score": 0.5})
    site.publish(tmp_path, run="b")
    found = project_of(site)
    assert found["live_version"] == "boxstrap-7-0002"
    assert [(version["name"], version["live"]) for version in found["versions"]] == [
        ("boxstrap-7-0002", True),
        ("boxstrap-7-0001", False),
    ]
    first = found["versions"][1]
    assert (first["pictures"], first["classes"], first["metrics"]) == (40, ["fish"], {"holdout_score": 0.5})
    assert abs(first["created"] - time.time()) < 60


def test_projects_come_by_number(site: Site) -> None:
    for number in ("10", "9", "100"):
        site.set_up(number)
    found = site.client.get("/api/projects").json()["projects"]
    assert [project["id"] for project in found] == ["9", "10", "100"]


def test_train_gives_the_run_that_waits(site: Site) -> None:
    site.set_up()
    answer = site.post("/api/projects/7/train", {})
    assert answer.status_code == 201
    assert (answer.json()["project"], answer.json()["state"]) == ("7", "queued")
    assert answer.json()["trigger"] == 'button "Start training"'
    assert start(site) == answer.json()["id"]
    assert [run["id"] for run in project_of(site)["active_runs"]] == [answer.json()["id"]]


def test_a_project_nobody_knows_is_not_trained(site: Site) -> None:
    for path in ("/api/projects/7/train", "/api/projects/7/preannotate"):
        answer = site.post(path, {})
        assert (answer.status_code, code_of(answer)) == (404, "not_found")
    assert site.post("/api/projects/seven/train", {}).status_code == 422


def test_runs_newest_first_of_all_projects_or_one(site: Site) -> None:
    runs = [site.stores.runs.create(project, {}).id for project in ("7", "8", "7")]
    assert [run["id"] for run in site.client.get("/api/runs").json()["runs"]] == runs[::-1]
    assert [run["id"] for run in site.client.get("/api/runs?project=8").json()["runs"]] == [runs[1]]


def test_a_run_that_is_trained_has_progress(site: Site) -> None:
    site.set_up()
    run = start(site)
    assert site.client.get(f"/api/runs/{run}").json()["progress"] is None
    site.stores.runs.update(run, state="running", started=time.time(), pictures=40)
    site.queue.progress.report_run(run, {"stage": "reading", "stage_index": 0, "stages": 1})
    assert site.client.get(f"/api/runs/{run}").json()["progress"]["share"] == 0
    progress = {"stage": "localize", "stage_index": 1, "stages": 3, "epoch": 3, "epochs": 4, "step": 5, "steps": 10}
    site.queue.progress.report_run(run, {**progress, "loss": 0.25, "at": time.time() - 60})
    found = site.client.get(f"/api/runs/{run}").json()
    assert found["progress"]["share"] == round((1 + 2.5 / 4) / 3, 4)
    assert 60 <= found["progress"]["age_s"] < 70
    assert (found["state"], found["pictures"], found["progress"]["loss"]) == ("running", 40, 0.25)
    assert found["config"]["method"] == "boxstrap"
    assert project_of(site)["latest_run"]["progress"]["epoch"] == 3


def test_a_cancelled_run_stays_cancelled(site: Site) -> None:
    site.set_up()
    run = start(site)
    for _ in range(2):
        answer = site.post(f"/api/runs/{run}/cancel", {})
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert site.queue.counts()[TRAIN]["queued"] == 0
    assert (project_of(site)["active_runs"], project_of(site)["latest_run"]["state"]) == ([], "cancelled")


def test_runs_that_are_none(site: Site) -> None:
    for run in ("x", "..", "%2e%2e%2fprojects", "7-20260101-000000-abcdef"):
        assert site.client.get(f"/api/runs/{run}").status_code == 404
        assert code_of(site.post(f"/api/runs/{run}/cancel", {})) == "not_found"


def test_activate_goes_back_to_an_older_version_and_setup_says_so(site: Site, tmp_path: Path) -> None:
    site.set_up()
    older = site.publish(tmp_path, run="a")
    site.publish(tmp_path, run="b")
    answer = site.post("/api/projects/7/activate", {"version": older})
    assert (answer.status_code, answer.json()) == (200, {"live_version": older})
    assert site.queue.counts()[BULK]["queued"] == 1  # its boxes and masks
    assert site.post("/setup", {"project": "7", "schema": "<View/>"}).json() == {"model_version": older}


def test_activate_refuses_what_is_no_version_and_makes_no_folders(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    for project, version in (("7", "boxstrap-7-0009"), ("7", "../8/boxstrap-8-0001"), ("9", "boxstrap-7-0001")):
        answer = site.post(f"/api/projects/{project}/activate", {"version": version})
        assert (answer.status_code, code_of(answer)) == (404, "not_found")
    assert site.post("/api/projects/7/activate", {}).status_code == 422
    assert [project["id"] for project in site.client.get("/api/projects").json()["projects"]] == ["7"]


def test_preannotate_puts_one_chunk_on_its_queue_and_its_progress_is_shown(site: Site, tmp_path: Path) -> None:
    site.set_up()
    assert code_of(site.post("/api/projects/7/preannotate", {})) == "not_found"
    version = site.publish(tmp_path)
    for _ in range(2):
        answer = site.post("/api/projects/7/preannotate", {})
        assert (answer.status_code, answer.json()) == (202, {"version": version})
    assert site.queue.counts()[BULK]["queued"] == 1
    site.queue.progress.report_preannotation("7", PreannotationProgress(version, 64, 60))
    assert project_of(site)["preannotation"]["done"] == 60


def test_status_counts_jobs_and_knows_the_workers(site: Site) -> None:
    site.set_up()
    before = site.client.get("/api/status").json()
    assert (before["redis_up"], before["can_train"], before["can_predict"]) == (True, False, False)
    start(site)
    worker = Worker([TRAIN], connection=site.queue.connection, prepare_for_work=False, name="w1")
    worker.hostname, worker.pid = "machine", 1
    worker.register_birth()
    worker.set_state("busy")
    now = site.client.get("/api/status").json()
    assert now["jobs"][TRAIN] == {"queued": 1, "started": 0, "scheduled": 0, "failed": 0}
    assert (now["workers"], now["can_train"]) == ({TRAIN: 1, PREDICT: 0, BULK: 0}, True)
    assert now["processes"] == [{"name": "w1", "host": "machine", "state": "busy", "queues": [TRAIN]}]
    assert now["revision"] != before["revision"]


def test_the_revision_changes_with_everything_but_progress(site: Site, tmp_path: Path) -> None:
    def revision() -> str:
        return str(site.client.get("/api/projects").json()["revision"])

    seen = [revision()]
    site.set_up()
    seen.append(revision())
    run = start(site)
    seen.append(revision())
    site.stores.runs.update(run, state="running")
    seen.append(revision())
    site.queue.progress.report_run(run, {"stage": "classify", "epoch": 1, "at": time.time()})
    assert revision() == seen[-1]
    site.publish(tmp_path)
    seen.append(revision())
    assert len(set(seen)) == len(seen)


def test_a_loss_that_is_no_number_is_null(site: Site) -> None:
    run = site.stores.runs.create("7", {})
    site.stores.runs.update(run.id, state="running")
    site.queue.progress.report_run(run.id, {"stage": "classify", "loss": float("nan"), "images_per_s": float("inf")})
    for progress in (
        site.client.get(f"/api/runs/{run.id}").json()["progress"],
        site.client.get("/api/runs").json()["runs"][0]["progress"],
        site.post("/job_status", {"job": run.id}).json()["result"]["progress"],
    ):
        assert (progress["loss"], progress["images_per_s"]) == (None, None)


def test_entries_of_others_in_redis_stop_no_page(site: Site) -> None:
    site.set_up()
    run = site.stores.runs.create("7", {})
    site.stores.runs.update(run.id, state=RunState.RUNNING)
    redis = site.queue.connection
    redis.sadd("rq:workers", "rq:worker:junk")
    redis.hset("rq:worker:junk", mapping={"birth": "soon", "queues": b"\xff", "pid": "x", "last_heartbeat": "z"})
    redis.set("boxstrap:progress:bulk-7", '{"version": 7, "seen": "x", "done": {}, "ended": [], "left_out": 5}')
    redis.set(f"boxstrap:progress:{run.id}", '{"epoch": "x", "steps": [], "at": {}}')
    for path in ("/", "/projects/7", "/api/status", "/api/runs", "/api/projects", "/metrics"):
        assert site.client.get(path, headers={"Accept": "text/html"}).status_code == 200, path
