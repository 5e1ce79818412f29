"""`boxstrap models export`: which model is meant, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from backend.cli import main
from backend.commands.export_model import folder_of
from backend.errors import NotFoundError
from backend.storage.models import ModelRegistry
from backend.storage.version_facts import VersionFacts
from tests.backend.support.command_line import error_of


@pytest.fixture
def published(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    """Two versions of project 7, the second live."""
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
    registry = ModelRegistry(tmp_path / "models")
    for run in ("a", "b"):
        registry.publish("7", model, VersionFacts(run))
    return registry


def test_a_folder_a_project_and_a_version_are_models(model: Path, published: ModelRegistry) -> None:
    assert folder_of(str(model)) == model
    assert folder_of("7") == published.folder("7", "boxstrap-7-0002")
    for name in ("7:1", "7:0001", "7:boxstrap-7-0001"):
        assert folder_of(name) == published.folder("7", "boxstrap-7-0001")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "nowhere is no folder, and no PROJECT or PROJECT:VERSION"),
        ("8", "Project 8 has no live version"),
        ("7:9", "Project 7 has no version 'boxstrap-7-0009'; it has: boxstrap-7-0001, boxstrap-7-0002"),
    ],
)
def test_what_is_no_model_is_a_sentence(name: str, sentence: str, published: ModelRegistry) -> None:
    with pytest.raises(NotFoundError) as raised:
        folder_of(name)
    assert sentence in str(raised.value)


def test_a_model_is_written_as_torchscript_and_not_written_over(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "model.pt"
    command = ["models", "export", str(model), "--format", "torchscript", "--out", str(out)]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == ["fish", "ladybird"]
    scores, maps, *_ = torch.jit.load(out)(torch.zeros(3, 224, 224, 3, dtype=torch.uint8))  # type: ignore[no-untyped-call]
    assert scores.shape == (3, 2) and maps.shape[2:] == (224, 224)
    assert "--force" in error_of(capsys, *command)
