"""`boxstrap doctor` with all its checks, against a Label Studio that works and ones that fail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rq import Worker
from rq.serializers import JSONSerializer

from backend.cli import main
from backend.doctor import project
from backend.doctor.examination import PROJECT_CHECKS
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.settings import Settings
from backend.wiring import build
from tests.backend.doctor.expectations import LEGACY, NOWHERE
from tests.backend.support.fake_label_studio import CONFIG, FakeLabelStudio, refusal


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The settings as variables, for the command."""
    for part in ("REDIS_URL", "MODEL_DIR", "WSOL_WEIGHTS_DIR", "LABEL_STUDIO_HOST", "BASIC_AUTH_USER"):
        monkeypatch.delenv(part, raising=False)
    monkeypatch.setenv("BOXSTRAP_HOME", str(settings.home))
    monkeypatch.setenv("LABEL_STUDIO_URL", str(settings.label_studio_url))
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", LEGACY)
    monkeypatch.setenv("BOXSTRAP_BACKBONE", "tiny")
    return monkeypatch


def examined(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code and the rows by name."""
    code = main(["doctor", "--json", *options])
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] == (code == 0)
    return code, {row["check"]: row for row in answer["checks"]}


def test_where_everything_works_the_exit_code_is_0(
    settings: Settings,
    studio: FakeLabelStudio,
    queue: JobQueue,
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    worker = Worker([TRAIN, PREDICT, BULK], connection=queue.connection, serializer=JSONSerializer)
    worker.register_birth()
    studio.when_patched = lambda: build(settings).services.projects.record_event("7", "PROJECT_UPDATED")
    code, rows = examined(capsys, "--project", "7")
    assert [row for row in rows.values() if row["state"] in ("failed", "not checked")] == [] and code == 0
    assert set(PROJECT_CHECKS) < set(rows) and rows["webhook round trip"]["project"] == "7"
    worker.register_death()


def test_one_failure_is_exit_code_1_and_the_rest_is_looked_at_all_the_same(
    studio: FakeLabelStudio, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    studio.answers["GET /api/webhooks/"] = refusal(500, "down")
    code, rows = examined(capsys, "--project", "7")
    assert code == 1
    assert rows["workers for boxstrap-train"]["state"] == rows["webhook"]["state"] == "failed"
    assert rows["labeling config"]["state"] == rows["picture"]["state"] == "ok"
    assert rows["webhook round trip"]["state"] == "not checked"


def test_a_project_that_is_not_there_and_one_that_nobody_named(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, rows = examined(capsys, "--project", "8")
    assert rows["project"]["state"] == "failed" and "404" in rows["project"]["found"]
    assert {rows[name]["state"] for name in PROJECT_CHECKS} == {"not checked"}
    _, rows = examined(capsys)
    assert "name one with --project" in rows["projects"]["found"]


def test_projects_that_connected_are_looked_at_without_being_named(
    settings: Settings, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setattr(project, "ROUND_TRIP_S", 0.05)
    build(settings).services.projects.set_up("7", CONFIG, "", "")
    _, rows = examined(capsys)
    assert rows["project"] == {"check": "project", "project": "7", "state": "ok", "found": "Animals", "advice": ""}


def test_without_label_studio_what_needs_it_is_not_checked(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("LABEL_STUDIO_URL", NOWHERE)
    code, rows = examined(capsys, "--project", "7")
    assert code == 1
    assert rows["access token"]["state"] == rows["project"]["state"] == "not checked"
    assert rows["model store"]["state"] == "ok"


def test_people_get_a_table_with_what_to_do_and_no_secret(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("LABEL_STUDIO_URL", NOWHERE)
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "ok           Redis" in text and "failed       Label Studio" in text
    assert "`boxstrap worker train`" in text and LEGACY not in text
