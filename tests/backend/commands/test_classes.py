"""`boxstrap classes`, and who says that a model's classes are called otherwise now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.services.overview import show_projects
from backend.storage.projects import Project
from backend.storage.version_facts import VersionFacts
from backend.wiring import Parts
from tests.backend.support.command_line import error_of

CONFIG = (
    '<View><Image name="image" value="$image"/><MagicWand name="wand" toName="image"/>'
    '<RectangleLabels name="box" toName="image"><Label value="krabbe"/></RectangleLabels></View>'
)


@pytest.fixture
def parts(parts: Parts, tmp_path: Path) -> Parts:
    """With a project 7 whose live version knows crab, which its config calls krabbe."""
    parts.stores.projects.remember(Project("7", CONFIG))
    for name in ("model.safetensors", "model.json"):
        (tmp_path / name).write_text("{}")
    parts.stores.models.publish("7", tmp_path, VersionFacts.from_dict({"classes": ["crab"]}))
    return parts


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["classes", "7", *arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def remarks(parts: Parts) -> str:
    services = parts.services
    (shown,) = show_projects(services.projects, services.training, services.retraining)
    return " ".join(shown["remarks"])


def test_classes_that_the_config_lacks_are_named_with_what_to_do(
    parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked(capsys)
    assert (found["classes"], found["learned"], found["renames"]) == (["krabbe"], ["crab"], {})
    for text in (" ".join(found["remarks"]), remarks(parts)):
        assert "'crab'" in text and 'predicted_values="crab"' in text and "MagicWand" in text


def test_a_new_name_is_kept_and_taken_back(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, "--rename", "crab=krabbe")["renames"] == {"crab": "krabbe"}
    assert "crab" not in remarks(parts)
    assert parts.services.projects.read_config("7", CONFIG).label_for("Crab") == "krabbe"
    assert asked(capsys, "--rename", "crab=")["renames"] == {} and "'crab'" in remarks(parts)


@pytest.mark.parametrize(
    ("rename", "wanted"), [("crab=fish", "has no class 'fish'"), ("crab", "the old and the new name")]
)
def test_a_name_without_meaning_changes_nothing(
    parts: Parts, capsys: pytest.CaptureFixture[str], rename: str, wanted: str
) -> None:
    assert main(["classes", "7", "--rename", rename]) != 0
    assert wanted in " ".join(capsys.readouterr().err.split())
    assert asked(capsys)["renames"] == {}


def test_a_project_that_was_never_set_up_is_named(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Project 8 was never set up" in error_of(capsys, "classes", "8")
