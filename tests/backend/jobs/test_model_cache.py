"""Models stay loaded as long as they fit, the one in use in any case."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend.jobs.model_cache import ModelCache


@pytest.fixture
def versions(model: Path, tmp_path: Path) -> list[Path]:
    """Three folders with the same model."""
    return [Path(shutil.copytree(model, tmp_path / str(number))) for number in range(3)]


def size_of(folder: Path) -> int:
    return (folder / "model.safetensors").stat().st_size


def test_a_model_is_loaded_once(versions: list[Path]) -> None:
    models = ModelCache(10 * size_of(versions[0]), "cpu")
    assert models.get(versions[0]) is models.get(versions[0])
    assert len(models) == 1


def test_the_one_that_was_used_longest_ago_goes_first(versions: list[Path]) -> None:
    models = ModelCache(int(2.5 * size_of(versions[0])), "cpu")
    first = models.get(versions[0])
    second = models.get(versions[1])
    assert models.get(versions[0]) is first
    models.get(versions[2])
    assert len(models) == 2
    assert models.get(versions[0]) is first
    assert models.get(versions[1]) is not second


def test_one_that_is_too_large_for_all_of_it_is_used_all_the_same(versions: list[Path]) -> None:
    models = ModelCache(1, "cpu")
    assert models.get(versions[0]).card.classes
    assert models.get(versions[1]).card.classes
    assert len(models) == 1
