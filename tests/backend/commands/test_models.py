"""`boxstrap models`: versions are shown, activated and deleted, and names that are not there are named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backend.cli import main
from backend.settings import GateMode
from backend.storage.models import ModelRegistry
from backend.storage.version_facts import GateCriterion, GateDecision, VersionFacts
from tests.backend.support.command_line import error_of
from tests.backend.support.fake_label_studio import fake_label_studio
from tests.backend.support.fake_people import FakeProject

FIRST, SECOND = "boxstrap-7-0001", "boxstrap-7-0002"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    """Two versions of project 7, the second live; Redis is away."""
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("BOXSTRAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    registry = ModelRegistry(tmp_path / "models")
    trained = tmp_path / "trained"
    trained.mkdir()
    (trained / "model.json").write_text("{}")
    (trained / "model.safetensors").write_bytes(b"weights")
    for run, score in (("a", 0.25), ("b", 0.5)):
        metrics = {"holdout_score": score, "train_steps": 6}
        registry.publish("7", trained, VersionFacts(run, classes=("bird", "fish"), pictures=12, metrics=metrics))
    return registry


def test_without_a_version_the_list_says_how_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    assert main(["models", "list"]) == 0
    assert "No version yet" in capsys.readouterr().out
    assert main(["models", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"versions": []}


def test_the_list_has_a_line_for_each_version(registry: ModelRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "7"]) == 0
    head, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["project", "version", "live", "classes", "pictures", "holdout", "created"]
    assert first[:6] == ["7", FIRST, "bird,", "fish", "12", "score"] and first[6] == "0.25"
    assert second[:4] == ["7", SECOND, "live", "bird,"]


def test_an_unreliable_version_is_marked_and_says_why(
    registry: ModelRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.publish("7", tmp_path / "trained", VersionFacts("c", faults=("10 steps are not enough.",)))
    assert main(["models", "list", "7"]) == 0
    said = capsys.readouterr()
    assert "live, unreliable" in said.out
    assert "Warning: boxstrap-7-0003: 10 steps are not enough." in said.err


def test_programs_get_everything(registry: ModelRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["versions"]
    assert (first["version"], first["live"], second["live"], second["parent"]) == (FIRST, False, True, FIRST)
    assert first["metrics"] == {"holdout_score": 0.25, "train_steps": 6}
    assert first["folder"] == str(registry.folder("7", FIRST))


def test_another_version_is_made_live(registry: ModelRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "activate", "7", FIRST]) == 0
    text = capsys.readouterr().out
    assert f"{FIRST} is live" in text and "Next: boxstrap preannotate 7" in text
    assert "are not written: Redis does not answer" in text
    assert registry.current("7") == FIRST
    assert main(["models", "activate", "7", SECOND, "--json"]) == 0
    values = {"project": "7", "live": SECOND, "before": FIRST, "preannotation": False}
    assert json.loads(capsys.readouterr().out) == values


def test_rollback_goes_to_the_version_that_the_live_one_followed(
    registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "rollback", "7"]) == 0
    assert f"{FIRST} is live" in capsys.readouterr().out
    assert registry.current("7") == FIRST
    assert f"{FIRST} is the first version of project 7" in error_of(capsys, "models", "rollback", "7")
    assert registry.current("7") == FIRST


def test_rollback_says_when_the_parent_was_deleted_or_nothing_is_live(
    registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.delete("7", FIRST)
    said = error_of(capsys, "models", "rollback", "7")
    assert f"{FIRST}, from which {SECOND} came, was deleted" in said and "boxstrap models activate 7 VERSION" in said
    (registry.root / "7" / "CURRENT").unlink()
    assert "Project 7 has no live version" in error_of(capsys, "models", "rollback", "7")


def test_a_version_that_the_gate_leaves_to_a_person_is_shown_as_suggested(
    registry: ModelRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = GateDecision(GateMode.SUGGEST, GateCriterion.HOLDOUT, SECOND, 9, True, False, "Not worse.")
    registry.publish("7", tmp_path / "trained", VersionFacts("c", gate=gate), live=False)
    registry.publish("7", tmp_path / "trained", VersionFacts("d", gate=replace(gate, passed=False)), live=False)
    registry.publish("7", tmp_path / "trained", VersionFacts("e", gate=GateDecision.from_dict("odd")), live=False)
    assert main(["models", "list", "7", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["versions"]
    assert [row["suggested"] for row in rows] == [False, False, True, False, False]
    assert rows[2]["gate"] == gate.to_dict()
    registry.activate("7", FIRST)  # it was compared with another one
    assert main(["models", "list", "7"]) == 0
    assert "suggested" not in capsys.readouterr().out


def test_only_a_version_that_is_not_live_is_deleted(
    registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "activate another one before deleting it" in error_of(capsys, "models", "delete", "7", SECOND)
    assert main(["models", "delete", "7", FIRST]) == 0
    assert f"{FIRST} is deleted" in capsys.readouterr().out
    assert [version.name for version in registry.versions("7")] == [SECOND]
    assert main(["models", "activate", "7", FIRST]) == 1


@pytest.mark.parametrize(
    "arguments", [("list", "8"), ("activate", "8", FIRST), ("delete", "../7", FIRST), ("rollback", "8")]
)
def test_an_unknown_project_is_named_and_gets_no_folder(
    registry: ModelRegistry, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    said = error_of(capsys, "models", *arguments)
    assert f"Project '{arguments[1]}' has no versions" in said and "these have: 7" in said
    assert registry.projects() == ["7"]


@pytest.mark.parametrize("command", ["activate", "delete"])
def test_an_unknown_version_is_named_with_those_there_are(
    registry: ModelRegistry, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    said = error_of(capsys, "models", command, "7", "boxstrap-7-0009")
    assert f"no version 'boxstrap-7-0009'; it has: {FIRST}, {SECOND}" in said


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (("models", "rollback", "7"), 1),
        (("models", "activate", "7", FIRST), 1),
        (("preannotate", "7"), 1),
        (("retrain", "7"), 0),
    ],
)
def test_a_dry_run_says_what_would_be_written_and_writes_nothing(
    command: tuple[str, ...],
    kept: int,
    registry: ModelRegistry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    people = FakeProject(7, tasks=4)
    for task, version in zip(people.tasks, (FIRST, SECOND, "other's", SECOND), strict=True):
        task["predictions"][0]["model_version"] = version
    people.submit(people.tasks[3], "move")
    with fake_label_studio() as server:
        server.answers["GET /api/projects/7/"] = (200, {"id": 7, "label_config": people.config})
        server.answers["GET /api/tasks/"] = (200, {"tasks": people.tasks})
        monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", "legacy")
        assert main([*command, "--dry-run", "--json"]) == 0
        assert server.patches == []
    counts = json.loads(capsys.readouterr().out)["tasks"]
    assert counts == {"predicted for the first time": 1, "replaced": 2 - kept, "as they are": kept, "left alone": 1}
    assert registry.current("7") == SECOND
