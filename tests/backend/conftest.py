"""Pictures and a model that the tests of the command line share; both tiny, made once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from backend.cli import main
from tests.backend.command_line import SMALL


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """A worker that runs in the test's own process leaves its handlers behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn pictures of the classes ladybird and fish, two of them for testing."""
    folder = tmp_path_factory.mktemp("drawn") / "pictures"
    assert main(["draw", str(folder), "--classes", "2", "--images", "12", "--json"]) == 0
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A model that has hardly learned anything."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    assert main(["train", str(pictures), "--out", str(folder), "--epochs", "1", "--json", *SMALL]) == 0
    return folder
