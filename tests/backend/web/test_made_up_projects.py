"""Calls for projects that Label Studio does not have; its API is played by a fake one that knows project 7 alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.backend.web.serving import CONFIG, Site, serving
from tests.local_http import answering, send

START = {"action": "START_TRAINING", "project": {"id": 8, "title": "Fish", "label_config": CONFIG}}


def fake_label_studio(handler: BaseHTTPRequestHandler) -> None:
    known = handler.path.startswith("/api/projects/7/")
    send(handler, 200 if known else 404, b'{"id": 7}' if known else b'{"detail": "Not found."}')


@pytest.fixture
def asking(site: Site) -> Iterator[Site]:
    """The site, once it has a Label Studio that it can ask."""
    with answering(fake_label_studio) as url:
        settings = replace(site.settings, label_studio_url=url, label_studio_api_key="0123456789abcdef")
        with serving(settings) as other:
            yield other


def left(site: Site) -> tuple[set[Path], list[object]]:
    """Files of projects and runs, and keys in Redis that do not go by themselves."""
    folders = [site.settings.home / name for name in ("projects", "runs", "models", "policies")]
    files = {path for folder in folders for path in folder.rglob("*")}
    redis = site.queue.connection
    return files, [key for key in redis.scan_iter() if redis.ttl(key) < 0]


def test_a_project_that_label_studio_does_not_have_leaves_nothing_behind(asking: Site) -> None:
    before = left(asking)
    answer = asking.post("/setup", {"project": "8.17", "schema": CONFIG})
    assert (answer.status_code, answer.json()) == (200, {"model_version": "boxstrap-8-untrained"})
    for path, body in (("/webhook", START), ("/train", {"project": "8.17"})):
        answer = asking.post(path, body)
        assert answer.status_code == 404 and "has no project 8" in answer.text
    assert asking.post("/webhook", {**START, "action": "ANNOTATION_CREATED"}).status_code == 200
    assert left(asking) == before and asking.client.get("/api/projects").json()["projects"] == []


def test_one_that_it_has_is_set_up_and_trained(asking: Site) -> None:
    asking.set_up("7")
    assert asking.post("/train", {"project": "7.17"}).status_code == 201
    assert [run.project_id for run in asking.stores.runs.all()] == ["7"]


def test_a_project_is_set_up_where_label_studio_cannot_be_asked(site: Site) -> None:
    settings = replace(site.settings, label_studio_url="http://127.0.0.1:1", label_studio_api_key="0123456789abcdef")
    with serving(settings) as alone:
        alone.set_up("9")
        assert [project.id for project in alone.stores.projects.all()] == ["9"]
