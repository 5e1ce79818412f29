"""Without Redis nothing can be trained or predicted; all else answers, and nobody waits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from backend.settings import Settings
from tests.backend.support.embedded_redis import redis_in, short_home
from tests.backend.web.serving import CONFIG, Site, code_of, serving, task


@pytest.fixture(scope="module")
def lonely() -> Iterator[Site]:
    with short_home() as home, serving(Settings(home=home)) as site:
        yield site


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 6


def test_health_setup_and_versions_answer(lonely: Site) -> None:
    assert lonely.client.get("/health").status_code == 200
    lonely.set_up()
    assert lonely.client.get("/versions").json() == {"versions": []}


def test_setup_answers_though_the_webhook_cannot_be_signed() -> None:
    with short_home() as home, serving(Settings(home=home, basic_auth_user="a", basic_auth_pass="b")) as site:
        answer = site.post("/setup", {"project": "7", "schema": CONFIG}, auth=("a", "b"))
        assert answer.json() == {"model_version": "boxstrap-7-untrained"}


def test_start_training_says_what_is_missing(lonely: Site) -> None:
    lonely.set_up()
    for path, body in (
        ("/webhook", {"action": "START_TRAINING", "project": {"id": 7}}),
        ("/train", {"project": "7"}),
        ("/api/projects/7/train", {}),
    ):
        answer = lonely.post(path, body)
        assert (answer.status_code, code_of(answer)) == (503, "no_queue")
        assert "boxstrap up" in answer.json()["error"]["message"]
    assert lonely.stores.runs.all() == []


def test_other_events_are_noted(lonely: Site) -> None:
    lonely.set_up()
    assert lonely.post("/webhook", {"action": "TASKS_CREATED", "project": {"id": 7}}).status_code == 200


def test_predict_is_empty_before_the_first_version(lonely: Site) -> None:
    body = {"tasks": [task(1)], "project": "7", "label_config": CONFIG}
    assert len(lonely.post("/predict", body).json()["results"]) == 1


def test_pages_and_metrics_say_that_redis_is_away(lonely: Site) -> None:
    assert "boxstrap_redis_up 0.0" in lonely.client.get("/metrics").text
    status = lonely.client.get("/api/status").json()
    assert (status["redis_up"], status["jobs"], status["workers"]) == (False, {}, {})
    page = lonely.client.get("/", headers={"Accept": "text/html"}).text
    assert "Redis does not answer" in page
    assert "No worker" not in page


def test_projects_and_runs_are_shown_without_progress(lonely: Site) -> None:
    lonely.set_up()
    run = lonely.stores.runs.create("7", {})
    lonely.stores.runs.update(run.id, state="running")
    [project] = lonely.client.get("/api/projects").json()["projects"]
    assert [(found["id"], found["progress"]) for found in project["active_runs"]] == [(run.id, None)]
    assert lonely.client.get(f"/api/runs/{run.id}").json()["state"] == "running"
    assert lonely.client.get("/", headers={"Accept": "text/html"}).status_code == 200
    lonely.stores.runs.update(run.id, state="failed")
    lonely.stores.runs.clear(run.id)
    (lonely.stores.runs.folder(run.id) / "run.json").unlink()


@pytest.mark.slow
def test_a_redis_that_is_silent_holds_nobody_for_long() -> None:
    """As behind a broken network: it takes connections and says nothing."""
    with short_home() as home, redis_in(home) as queue, serving(Settings(home=home)) as site:
        site.set_up()
        server = int(queue.connection.info("server")["process_id"])
        os.kill(server, signal.SIGSTOP)
        try:
            answer = site.post("/webhook", {"action": "START_TRAINING", "project": {"id": 7}})
        finally:
            os.kill(server, signal.SIGCONT)
        assert (answer.status_code, code_of(answer)) == (503, "no_queue")
