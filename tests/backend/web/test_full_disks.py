"""Disks and a Redis that take nothing more: every page and request answers in order, and says what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.queueing.janitor import Janitor
from backend.queueing.queue import PREDICT
from backend.services.retraining_scheduler import RetrainingScheduler
from backend.wiring import build
from tests.backend.support.small_disk import SmallDisk, small_disk
from tests.backend.web.serving import CONFIG, Site, code_of, one_each, predict_worker, serving, task

BROWSER = {"Accept": "text/html"}
PAGES = ("/", "/projects/7", "/projects/7/report", "/api/projects", "/api/runs", "/api/status", "/versions", "/metrics")
PICTURE = "data:image/png;base64,AAAA"


@pytest.fixture
def disks() -> Iterator[dict[str, SmallDisk]]:
    with small_disk() as home, small_disk() as store:
        yield {"home": home, "store": store}


@pytest.fixture
def on_disks(site: Site, disks: dict[str, SmallDisk], tmp_path: Path) -> Iterator[Site]:
    """A server with two versions of project 7 and a run that waits, all on the disks."""
    redis_url = f"unix://{site.settings.home}/redis/socket"
    settings = replace(site.settings, home=disks["home"].path, model_dir=disks["store"].path, redis_url=redis_url)
    with serving(settings) as running:
        running.set_up()
        (trained := tmp_path / "trained").mkdir()
        for run in ("a", "b"):
            running.publish(trained, run=run)
        running.stores.runs.create("7", {})
        yield running


def requests(site: Site) -> dict[str, tuple[int, str]]:
    """The status of everything that can be asked for, and what was said where it failed."""
    run = site.stores.runs.of_project("7")[0].id
    older = site.stores.models.versions("7")[0].name
    inline = task(1) | {"data": {"image": PICTURE}}
    answers = {page: site.client.get(page, headers=BROWSER) for page in PAGES} | {
        path: site.post(path, body)
        for path, body in {
            "/setup": {"project": "7.17", "schema": CONFIG.replace("fish", "crab")},
            "/predict": {"tasks": [task(1), inline], "project": "7", "label_config": CONFIG},
            "/webhook": {"action": "ANNOTATION_CREATED", "project": {"id": 7}},
            "/train": {"project": "7"},
            "/api/projects/7/preannotate": {},
            "/api/projects/7/activate": {"version": older},
            f"/api/runs/{run}/cancel": {},
        }.items()
    }
    answers["policy"] = site.client.patch("/api/projects/7/policy", json={"every": 9})
    return {path: (answer.status_code, answer.text[:300]) for path, answer in answers.items()}


@pytest.mark.parametrize("which", ["home", "store"])
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_no_disk_makes_an_answer_a_fault(
    on_disks: Site, disks: dict[str, SmallDisk], caplog: pytest.LogCaptureFixture, which: str, how: str
) -> None:
    disks[which].fill() if how == "full" else disks[which].lock()
    scheduler = RetrainingScheduler(on_disks.queue, build(on_disks.settings).services.retraining)
    with predict_worker(on_disks.queue, one_each), caplog.at_level(logging.ERROR):
        found = requests(on_disks)
        Janitor(on_disks.queue, on_disks.stores.runs).run_once(thorough=True)
        scheduler.run_once()
    assert {path: answer for path, answer in found.items() if answer[0] == 500} == {}
    assert {path: found[path] for path in (*PAGES, "/predict", "/setup", "/webhook") if found[path][0] > 201} == {}
    assert [record.getMessage() for record in caplog.records] == []
    shown = on_disks.client.get("/", headers=BROWSER).text
    assert str(disks[which].path) in shown
    assert ("make room" if how == "full" else "mount the file system for writing") in shown
    step = "make room" if how == "full" else "for writing"
    assert all(step in said for status, said in found.values() if status in (503, 507))


def test_a_redis_that_takes_no_writes_is_said_on_the_page_and_by_every_request(site: Site, tmp_path: Path) -> None:
    site.set_up()
    site.publish(tmp_path)
    site.queue.connection.config_set("maxmemory", 1)
    try:
        answers = [
            site.post(path, body)
            for path, body in {
                "/predict": {"tasks": [task(1)], "project": "7", "label_config": CONFIG},
                "/train": {"project": "7"},
                "/api/projects/7/preannotate": {},
            }.items()
        ]
        status, page = site.client.get("/api/status").json(), site.client.get("/", headers=BROWSER).text
        events = site.post("/webhook", {"action": "ANNOTATION_CREATED", "project": {"id": 7}}).status_code
    finally:
        site.queue.connection.config_set("maxmemory", 0)
    assert [(answer.status_code, code_of(answer)) for answer in answers] == [(503, "no_queue")] * 3
    assert all("Make room" in answer.json()["error"]["message"] for answer in answers)
    assert (status["redis_up"], events) == (False, 200)
    assert "Redis takes no writes" in status["redis_problem"]
    assert "Redis takes no writes" in page and "Redis does not answer" not in page


def test_a_redis_whose_keys_another_program_has_is_said_on_the_page(site: Site) -> None:
    site.set_up()
    site.queue.connection.set(f"rq:queue:{PREDICT}", "somebody else's")
    status, page = site.client.get("/api/status").json(), site.client.get("/", headers=BROWSER).text
    assert (status["redis_up"], "Another program uses our keys" in status["redis_problem"]) == (False, True)
    assert "Redis refuses" in page and "Redis does not answer" not in page and "Redis takes no writes" not in page
