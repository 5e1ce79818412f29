"""The page at /: for browsers only, escaped, without anything from elsewhere, and with a next step in every state."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import urljoin

import pytest
from rq import Worker

from backend.queueing.queue import TRAIN
from backend.storage.runs import RunState
from tests.backend.web.html_page import BROWSER, EVIL, Page, get, page
from tests.backend.web.serving import CONFIG, Site


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html;q=0.1,*/*", "text/html, */*", ";q=x", None])
def test_programs_get_a_line_of_json(site: Site, accept: str | None) -> None:
    request = site.client.build_request("GET", "/")
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    answer = site.client.send(request)
    assert answer.json() == {"status": "UP", "model_class": "Boxstrap"}


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "text/html;a=1;q=0.9,application/json;q=0.8", "TEXT/HTML"])
def test_browsers_get_the_page(site: Site, accept: str) -> None:
    answer = site.client.get("/", headers={"Accept": accept})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/projects/7", "/projects/99"])
def test_nothing_may_be_loaded_from_elsewhere_or_run_inline(site: Site, tmp_path: Path, path: str) -> None:
    site.publish(tmp_path)
    answer = get(site, path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    for tag, attributes in Page(answer.text).tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        if tag in ("script", "link", "img"):
            address = str(attributes.get("src") or attributes.get("href"))
            found = site.client.get(urljoin(path, address))
            assert found.status_code == 200
            assert tag != "link" or not re.findall(r"url|@import", found.text) or address.endswith("svg")
    assert "<style" not in answer.text


def test_without_a_project_it_says_what_to_do(site: Site) -> None:
    text = page(site).text
    assert "No project yet" in text
    assert str(site.client.base_url).rstrip("/") in text
    assert "boxstrap worker predict" in text and "boxstrap worker train" in text


def test_a_project_before_its_first_training(site: Site) -> None:
    site.set_up()
    found = page(site)
    assert "There is no version yet" in found.text and "Next: Choose classes" in found.text
    assert "projects/7" in [attributes.get("href") for tag, attributes in found.tags if tag == "a"]


def test_a_training_is_shown_and_can_be_cancelled(site: Site) -> None:
    site.set_up()
    run = site.post("/api/projects/7/train", {}).json()["id"]
    waiting = page(site)
    assert "A training waits" in waiting.text and "for a worker" in waiting.text
    assert waiting.buttons() == [f"api/runs/{run}/cancel"]
    site.stores.runs.update(run, state="running", pictures=1234, started=time.time())
    progress = {"stage": "classify", "stage_index": 0, "stages": 3, "epoch": 1, "epochs": 2, "step": 5, "steps": 10}
    site.queue.progress.report_run(run, progress)
    running = page(site)
    [bar] = [attributes for tag, attributes in running.tags if tag == "progress"]
    assert bar["value"] == "0.0833"
    assert "1,234 pictures" in running.text
    assert running.buttons() == [f"api/runs/{run}/cancel"]


def test_a_training_that_waits_for_another_stands_below_it(site: Site) -> None:
    site.set_up()
    worker = Worker([TRAIN], connection=site.queue.connection, prepare_for_work=False, name="w1")
    worker.hostname, worker.pid = "machine", 1
    worker.register_birth()
    site.stores.runs.update(site.post("/api/projects/7/train", {}).json()["id"], state="running")
    site.post("/api/projects/7/train", {})
    text = page(site).text
    assert text.index("Training") < text.index("A training waits")
    assert "until the training above has ended" in text
    assert "machine" in text and "No worker for trainings" not in text


def test_a_training_that_failed_says_why(site: Site) -> None:
    site.set_up()
    run = site.stores.runs.create("7", {})
    site.stores.runs.update(run.id, state=RunState.FAILED, reason="Project 7 has 3 tasks, 0 with a class.")
    assert "0 with a class" in page(site).text


@pytest.mark.parametrize("path", ["/", "/projects/7"])
def test_what_others_wrote_is_text(site: Site, tmp_path: Path, path: str) -> None:
    site.post("/setup", {"project": "7", "schema": CONFIG, "hostname": "javascript:alert(1)"})
    site.post("/webhook", {"action": "PROJECT_UPDATED", "project": {"id": 7, "title": EVIL}})
    site.publish(tmp_path, classes=[EVIL], metrics={EVIL: EVIL}, pictures=3, faults=[EVIL], trigger=EVIL)
    run = site.stores.runs.create("7", {})
    site.stores.runs.update(run.id, state=RunState.FAILED, reason=EVIL)
    answer = get(site, path)
    assert "<script>alert" not in answer.text
    found = Page(answer.text)
    assert found.text.count(EVIL) >= 2
    assert "javascript:" not in answer.text
    assert [tag for tag, _ in found.tags].count("script") == 1


def test_a_project_links_to_label_studio(site: Site) -> None:
    site.post("/setup", {"project": "7", "schema": CONFIG, "hostname": "http://studio.example:8080"})
    links = [attributes["href"] for tag, attributes in page(site).tags if tag == "a"]
    assert "http://studio.example:8080/projects/7" in links


@pytest.mark.parametrize("path", ["/", "/projects/7"])
def test_facts_of_an_odd_version_break_nothing(site: Site, tmp_path: Path, path: str) -> None:
    site.publish(tmp_path, pictures=None, classes=None, metrics=None)
    assert page(site, path).text


@pytest.mark.parametrize("path", ["/", "/projects/7"])
@pytest.mark.parametrize("gate", [None, {}, "odd", {"sentence": None}, {"mode": "suggest"}])
def test_odd_records_of_the_gate_break_nothing(site: Site, tmp_path: Path, gate: object, path: str) -> None:
    site.publish(tmp_path, gate=gate)
    assert "boxstrap-7-0001" in page(site, path).text


def test_a_running_training_says_how_long_it_takes_and_that_it_is_too_short(site: Site) -> None:
    site.set_up()
    run = site.post("/api/projects/7/train", {}).json()["id"]
    site.stores.runs.update(run, state="running", started=time.time(), warnings=("36 steps are not enough.",))
    progress = {"stage": "classify", "epoch": 1, "epochs": 2, "step": 5, "steps": 10, "notice": "About 7 minutes."}
    site.queue.progress.report_run(run, progress)
    text = page(site).text
    assert "About 7 minutes." in text and "36 steps are not enough." in text
    assert site.stores.runs.read(run).warnings == ("36 steps are not enough.",)
