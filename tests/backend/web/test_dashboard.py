"""The page at /: for browsers only, escaped, without anything from elsewhere, and with a next step in every state."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from rq import Worker

from backend.queueing.queue import TRAIN
from backend.settings import GateMode
from backend.storage.runs import RunState
from backend.storage.version_facts import GateCriterion, GateDecision, VersionFacts
from tests.backend.web.serving import CONFIG, Site

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
EVIL = "<script>alert(1)</script>\"'&"


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def buttons(self) -> list[str]:
        """Addresses of the buttons that can be pressed."""
        found = [attributes for tag, attributes in self.tags if tag == "button"]
        return [str(attributes["data-post"]) for attributes in found if "disabled" not in attributes]


def get(site: Site) -> httpx.Response:
    return site.client.get("/", headers={"Accept": BROWSER})


def page(site: Site) -> Page:
    answer = get(site)
    assert answer.status_code == 200
    return Page(answer.text)


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


def test_nothing_may_be_loaded_from_elsewhere_or_run_inline(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path)
    answer = get(site)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    for tag, attributes in Page(answer.text).tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        if tag in ("script", "link", "img"):
            address = str(attributes.get("src") or attributes.get("href"))
            assert site.client.get(f"/{address}").status_code == 200
    assert not re.findall(r"https?://", site.client.get("/static/dashboard.css").text)
    assert "<style" not in answer.text


def test_without_a_project_it_says_what_to_do(site: Site) -> None:
    text = page(site).text
    assert "No project yet" in text
    assert str(site.client.base_url).rstrip("/") in text
    assert "boxstrap worker predict" in text and "boxstrap worker train" in text


def test_a_project_before_its_first_training(site: Site) -> None:
    site.set_up()
    found = page(site)
    assert "There is no version yet" in found.text
    assert found.buttons() == ["api/projects/7/train"]


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
    assert running.buttons() == [f"api/runs/{run}/cancel", "api/projects/7/train"]


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


def test_versions_with_a_button_for_all_but_the_live_one(site: Site, tmp_path: Path) -> None:
    site.set_up()
    site.publish(tmp_path, run="a", pictures=40, classes=["fish"], metrics={"holdout_top1_accuracy": 0.98765})
    site.publish(tmp_path, run="b")
    found = page(site)
    assert "Predictions come from boxstrap-7-0002" in found.text
    assert "holdout top1 accuracy" in found.text and "0.988" in found.text
    bodies = [attributes.get("data-body") for tag, attributes in found.tags if tag == "button"]
    assert [body for body in bodies if body] == ['{"version": "boxstrap-7-0001"}']
    assert "api/projects/7/preannotate" in found.buttons()


def test_what_others_wrote_is_text(site: Site, tmp_path: Path) -> None:
    site.post("/setup", {"project": "7", "schema": CONFIG, "hostname": "javascript:alert(1)"})
    site.post("/webhook", {"action": "PROJECT_UPDATED", "project": {"id": 7, "title": EVIL}})
    site.publish(tmp_path, classes=[EVIL], metrics={EVIL: EVIL}, pictures=3)
    run = site.stores.runs.create("7", {})
    site.stores.runs.update(run.id, state=RunState.FAILED, reason=EVIL)
    answer = get(site)
    assert "<script>alert" not in answer.text
    found = Page(answer.text)
    assert found.text.count(EVIL) >= 4
    assert "javascript:" not in answer.text
    assert [tag for tag, _ in found.tags].count("script") == 1


def test_a_project_links_to_label_studio(site: Site) -> None:
    site.post("/setup", {"project": "7", "schema": CONFIG, "hostname": "http://studio.example:8080"})
    links = [attributes["href"] for tag, attributes in page(site).tags if tag == "a"]
    assert "http://studio.example:8080/projects/7" in links


def test_facts_of_an_odd_version_break_nothing(site: Site, tmp_path: Path) -> None:
    site.publish(tmp_path, pictures=None, classes=None, metrics=None)
    assert page(site).text


def test_it_says_why_no_training_starts_and_what_started_the_one_there_is(site: Site) -> None:
    site.set_up()
    assert "No training starts by itself" in page(site).text
    site.stores.policies.change("7", every=20)
    assert "none has one yet" in page(site).text
    run = site.stores.runs.create("7", {}, "20 new corrections")
    assert "Started by: 20 new corrections." in page(site).text
    gate = {"mode": "auto", "passed": False, "promoted": False, "sentence": "Box IoU fell by 0.1."}
    site.stores.runs.update(
        run.id, state=RunState.SUCCEEDED, version="boxstrap-7-0002", gate=GateDecision.from_dict(gate)
    )
    text = page(site).text
    assert "The last training made boxstrap-7-0002, started by: 20 new corrections. Box IoU fell by 0.1." in text


def test_a_suggested_version_comes_with_its_reason_and_the_command(site: Site, tmp_path: Path) -> None:
    site.set_up()
    live = site.publish(tmp_path, run="a")
    gate = GateDecision(GateMode.SUGGEST, GateCriterion.HOLDOUT, live, 9, True, False, EVIL)
    (tmp_path / "model.json").write_text("{}")
    new = site.stores.models.publish("7", tmp_path, VersionFacts(run="b", gate=gate), live=False)
    answer = get(site)
    assert "<script>alert" not in answer.text
    text = Page(answer.text).text
    assert f"suggested boxstrap models activate 7 {new}" in text and EVIL in text
    site.stores.models.activate("7", new)
    assert "suggested" not in page(site).text


@pytest.mark.parametrize("gate", [None, {}, "odd", {"sentence": None}, {"mode": "suggest"}])
def test_odd_records_of_the_gate_break_nothing(site: Site, tmp_path: Path, gate: object) -> None:
    site.publish(tmp_path, gate=gate)
    run = site.stores.runs.create("7", {}, "x")
    site.stores.runs.update(run.id, state=RunState.SUCCEEDED, gate=GateDecision.from_dict(gate))
    assert "boxstrap-7-0001" in page(site).text


def test_an_unreliable_version_is_marked_with_the_reason_said_once(site: Site, tmp_path: Path) -> None:
    site.set_up()
    fault = "36 steps of stage localize are not enough for 51 images; 250 would do."
    site.publish(tmp_path, run="a", faults=[fault])
    gate = GateDecision(GateMode.AUTO, GateCriterion.FAULTS, None, 0, False, False, f"0001 stays live. {fault}")
    site.publish(tmp_path, run="b", faults=[fault], gate=gate.to_dict())
    site.publish(tmp_path, run="c")
    text = page(site).text
    assert text.count("unreliable") == 2
    assert text.count(fault) == 2


def test_a_running_training_says_how_long_it_takes_and_that_it_is_too_short(site: Site) -> None:
    site.set_up()
    run = site.post("/api/projects/7/train", {}).json()["id"]
    site.stores.runs.update(run, state="running", started=time.time(), warnings=("36 steps are not enough.",))
    progress = {"stage": "classify", "epoch": 1, "epochs": 2, "step": 5, "steps": 10, "notice": "About 7 minutes."}
    site.queue.progress.report_run(run, progress)
    text = page(site).text
    assert "About 7 minutes." in text and "36 steps are not enough." in text
    assert site.stores.runs.read(run).warnings == ("36 steps are not enough.",)
