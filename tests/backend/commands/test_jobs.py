"""`boxstrap jobs` and `boxstrap preannotate`, with a real Redis and with none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.cli import main
from backend.queueing.queue import BULK, TRAIN
from backend.settings import Settings
from backend.storage.runs import RunState
from backend.storage.version_facts import VersionFacts
from backend.wiring import Parts, build
from tests.backend.support.command_line import error_of


def published(parts: Parts, folder: Path) -> str:
    """A version of project 7, of files that nobody loads."""
    trained = folder / "trained"
    trained.mkdir()
    for name in ("model.json", "model.safetensors"):
        (trained / name).write_text("{}")
    return parts.stores.models.publish("7", trained, VersionFacts(run="a"))


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, list[dict[str, str]]]:
    assert main(["jobs", "list", "--json", *options]) == 0
    found: dict[str, list[dict[str, str]]] = json.loads(capsys.readouterr().out)
    return found


def test_without_a_training_the_list_says_how_one_starts(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "list"]) == 0
    text = capsys.readouterr().out
    assert "No training yet" in text and "boxstrap-bulk" in text


def test_trainings_are_shown_with_their_progress_and_queues_with_their_jobs(
    parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    run = parts.services.training.start("7")
    parts.stores.runs.update(run.id, state=RunState.RUNNING, pictures=12)
    parts.queue.progress.report_run(run.id, {"stage": "localize", "epoch": 2, "epochs": 8, "seconds_left": 41.7})
    assert main(["jobs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(run.id) and "running" in lines[1] and lines[1].endswith("localize 2/8, 42 s left")
    assert next(line.split() for line in lines if line.startswith(TRAIN)) == [TRAIN, "0", "1", "0", "0", "0"]
    facts = listed(capsys)
    assert facts["redis"] and facts["queues"][TRAIN] == {  # type: ignore[call-overload]
        "queued": 1,
        "started": 0,
        "scheduled": 0,
        "failed": 0,
        "workers": 0,
    }
    assert facts["runs"][0]["id"] == run.id and facts["runs"][0]["progress"]["epoch"] == 2  # type: ignore[index]


def test_the_list_can_be_of_one_project_and_is_short_unless_all_is_asked_for(
    parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(22):
        parts.stores.runs.create("8", {"number": number})
    other = parts.stores.runs.create("9", {})
    assert [run["id"] for run in listed(capsys, "--project", "9")["runs"]] == [other.id]
    assert len(listed(capsys)["runs"]) == 20
    assert len(listed(capsys, "--all")["runs"]) == 23


def test_a_waiting_training_is_cancelled_and_taken_off_its_queue(
    parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    run = parts.services.training.start("7")
    assert main(["jobs", "cancel", run.id]) == 0
    assert f"{run.id} is cancelled" in capsys.readouterr().out
    assert parts.stores.runs.read(run.id).state == RunState.CANCELLED
    assert parts.queue.status(run.id) is None
    assert main(["jobs", "cancel", run.id, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["state"], facts["cancelled"]) == (RunState.CANCELLED, False)


def test_a_training_that_has_ended_stays_as_it_ended(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    run = parts.stores.runs.create("7", {})
    parts.stores.runs.update(run.id, state=RunState.SUCCEEDED, ended=1.0)
    assert main(["jobs", "cancel", run.id]) == 0
    assert "had ended already" in capsys.readouterr().out
    assert parts.stores.runs.read(run.id).state == RunState.SUCCEEDED


@pytest.mark.parametrize("name", ["7-20261121-131713-4a5b6c", "../runs"])
def test_an_unknown_training_is_named(parts: Parts, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert f"'{name}'" in error_of(capsys, "jobs", "cancel", name)


def test_a_project_with_a_version_is_pre_annotated(
    parts: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Project 7 has no version yet" in error_of(capsys, "preannotate", "7")
    version = published(parts, tmp_path)
    assert main(["preannotate", "7"]) == 0
    assert version in capsys.readouterr().out
    assert parts.queue.counts()[BULK]["queued"] == 1
    assert main(["preannotate", "7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"project": "7", "version": version, "state": "queued"}
    assert parts.queue.counts()[BULK]["queued"] == 1  # again is nothing while it waits


def test_without_redis_the_list_is_what_was_noted_and_the_rest_says_what_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOXSTRAP_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@127.0.0.1:9/0")
    parts = build(Settings.from_env())
    run = parts.stores.runs.create("7", {})
    published(parts, tmp_path)
    assert main(["jobs", "list"]) == 0
    said = capsys.readouterr()
    assert run.id in said.out and "Redis does not answer" in said.err
    for arguments in (("jobs", "cancel", run.id), ("preannotate", "7")):
        message = error_of(capsys, *arguments)
        assert "Redis does not answer" in message and "s3cret" not in message
