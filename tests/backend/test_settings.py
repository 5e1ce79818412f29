"""What the environment may say, and what is said back when it makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.settings import Settings
from wsol_core.errors import ConfigError


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings(weights_dir=None, debug=False, rank=0, world_size=1, local_rank=0)
    assert settings.is_main


def test_every_variable_is_read(tmp_path: Path) -> None:
    values = {"WSOL_WEIGHTS_DIR": str(tmp_path), "BOXSTRAP_DEBUG": "1"}
    torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    settings = Settings.from_env({**values, **torchrun})
    assert settings == Settings(weights_dir=tmp_path, debug=True, rank=3, world_size=4, local_rank=1)
    assert not settings.is_main


def test_without_a_mapping_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXSTRAP_DEBUG", "yes")
    assert Settings.from_env().debug


@pytest.mark.parametrize("name", ["WSOL_WEIGHTS_DIR", "BOXSTRAP_DEBUG", "RANK", "WORLD_SIZE", "LOCAL_RANK"])
def test_a_blank_variable_counts_as_unset(name: str) -> None:
    assert Settings.from_env({name: " "}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WSOL_WEIGHTS_DIR", "/no/such/folder"),
        ("BOXSTRAP_DEBUG", "maybe"),
        ("RANK", "-1"),
        ("WORLD_SIZE", "0"),
        ("LOCAL_RANK", "one"),
    ],
)
def test_a_value_without_meaning_is_named_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is '{value}'"):
        Settings.from_env({name: value})


def test_a_rank_beyond_the_world_is_refused() -> None:
    with pytest.raises(ConfigError, match="RANK is 2 and WORLD_SIZE 2"):
        Settings.from_env({"RANK": "2", "WORLD_SIZE": "2"})


def test_a_tilde_in_the_weights_folder_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    assert Settings.from_env({"WSOL_WEIGHTS_DIR": "~/weights"}).weights_dir == tmp_path / "weights"
