"""Small images for the tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wsol_core.training.training_doubles import draw
from wsol_core.records import Sample


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return draw(tmp_path, 12)


@pytest.fixture
def corrected_samples(tmp_path: Path) -> list[Sample]:
    """With boxes, by which thresholds are chosen in a third of the time."""
    return draw(tmp_path, 12, boxed=True)
