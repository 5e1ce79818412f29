"""`boxstrap policy`, `retrain` and `models rollback`, with a real Redis and with none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.queueing.queue import BULK, TRAIN
from backend.settings import Settings
from backend.storage.projects import Project
from backend.storage.version_facts import VersionFacts
from backend.wiring import Parts, build
from tests.backend.support.command_line import error_of


@pytest.fixture
def parts(parts: Parts) -> Parts:
    """With a project 7 that was set up."""
    parts.stores.projects.remember(Project("7", "<View/>"))
    return parts


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_a_policy_is_shown_with_why_nothing_starts(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "7"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Policy of project 7" in text and "No training starts by itself" in text
    assert "new corrections start nothing cron none quiet hours none" in text
    assert not (parts.settings.home / "policies").exists()


def test_options_change_what_they_name(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--every 20 --cron 0_3_*_*_* --quiet 22:00-07:00 --min-per-class 3 --gate suggest --score-threshold 0.4"
    found = asked(capsys, "policy", "7", *(option.replace("_", " ") for option in options.split()))
    expected = {"every": 20, "cron": "0 3 * * *", "quiet": "22:00-07:00", "min_per_class": 3, "gate": "suggest"}
    assert found["policy"] == {**expected, "score_threshold": 0.4, "sampling": ""}
    assert (found["project"], found["loop"]["starts"], found["loop"]["corrected"]) == ("7", False, 0)
    changed = asked(capsys, "policy", "7.1795", "--every", "0", "--cron", "", "--score-threshold", "none")
    assert changed["policy"] == {**expected, "every": 0, "cron": "", "score_threshold": None, "sampling": ""}
    assert main(["policy", "7"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "suggest: a new version that is not worse is suggested" in text and "from 3 pictures of every class" in text


def test_an_order_of_tasks_reaches_label_studio_with_the_next_pre_annotation(
    parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "7", "--sampling", "uncertainty"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "order of tasks the least certain first" in text and "Next: boxstrap preannotate 7" in text
    assert asked(capsys, "policy", "7", "--sampling", "")["policy"]["sampling"] == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--every", "-1"), "every is -1; it has to be a whole number, 0 or more, such as 20."),
        (("--cron", "nightly"), "cron is 'nightly'; write a cron expression of five fields, such as '0 3 * * *'."),
        (("--quiet", "22-7"), "quiet is '22-7'; write from when to when as HH:MM-HH:MM, such as 22:00-07:00."),
        (("--gate", "open"), "gate is 'open'; choose one of 'auto', 'suggest', 'manual'."),
        (("--sampling", "best"), "sampling is 'best'; choose one of '', 'uncertainty', 'sequential', 'uniform'."),
        (("--score-threshold", "1.5"), "score_threshold is 1.5; it has to be a number from 0 to 1"),
    ],
)
def test_a_value_without_meaning_is_named_and_changes_nothing(
    parts: Parts, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert said in error_of(capsys, "policy", "7", "--min-per-class", "9", *options)
    assert parts.stores.policies.find("7").min_per_class == 5


def test_what_is_no_number_at_all_is_an_error_of_the_command_line(
    parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "give a number from 0 to 1, or none" in error_of(capsys, "policy", "7", "--score-threshold", "low", code=2)
    assert "Invalid value for '--every'" in error_of(capsys, "policy", "7", "--every", "many", code=2)


@pytest.mark.parametrize("command", ["policy", "retrain"])
def test_an_unknown_project_is_named(parts: Parts, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert "Project 9 was never set up" in error_of(capsys, command, "9")
    assert "project is 'seven'" in error_of(capsys, command, "seven")


def test_retrain_starts_a_training_whatever_the_policy_says(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    parts.services.retraining.change_policy("7", quiet="00:00-23:59")
    assert main(["retrain", "7"]) == 0
    [run] = parts.services.training.runs("7")
    assert f"{run.id} is queued" in capsys.readouterr().out
    assert run.trigger == "command line"
    assert asked(capsys, "retrain", "7") == {
        "project": "7",
        "run": run.id,
        "state": "queued",
        "trigger": "command line",
    }
    assert parts.queue.counts()[TRAIN]["queued"] == 1
    assert main(["jobs", "list"]) == 0
    assert "command line" in capsys.readouterr().out
    assert asked(capsys, "jobs", "list")["runs"][0]["trigger"] == "command line"


def test_a_version_made_live_by_hand_gets_its_boxes_written(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trained").mkdir()
    for name in ("model.json", "model.safetensors"):
        (tmp_path / "trained" / name).write_text("{}")
    first, second, third = (
        parts.stores.models.publish("7", tmp_path / "trained", VersionFacts(run=run)) for run in "abc"
    )
    found = asked(capsys, "models", "rollback", "7")
    assert found == {"project": "7", "live": second, "before": third, "preannotation": True}
    assert parts.queue.counts()[BULK]["queued"] == 1
    assert main(["models", "activate", "7", third]) == 0
    assert "are being written" in capsys.readouterr().out
    assert parts.queue.counts()[BULK]["queued"] == 2
    monkeypatch.setenv("PREANNOTATE", "0")
    assert main(["models", "activate", "7", first]) == 0
    assert "are not written: PREANNOTATE is 0." in capsys.readouterr().out
    assert parts.queue.counts()[BULK]["queued"] == 2


def test_without_redis_a_policy_is_changed_and_a_training_says_what_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOXSTRAP_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    build(Settings.from_env()).stores.projects.remember(Project("7", "<View/>"))
    assert asked(capsys, "policy", "7", "--every", "5")["policy"]["every"] == 5
    assert "Redis does not answer" in error_of(capsys, "retrain", "7")
