"""examples/add_a_method.py: a method of a user's own is trained, saved and opened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.examples.programs import EXAMPLES, run


@pytest.mark.slow
def test_the_method_trains_and_localizes(tmp_path: Path) -> None:
    said = run(EXAMPLES / "add_a_method.py", "--out", "trained", cwd=tmp_path)
    assert "cam, mean_cam" in said
    assert said.count("images/") == 4
    card = json.loads((tmp_path / "trained" / "model" / "model.json").read_text(encoding="utf-8"))
    assert card["config"]["method"] == "mean_cam"
