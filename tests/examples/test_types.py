"""The types of the public interface, as a type checker sees them in a user's code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.programs import EXAMPLES, ROOT

WRONG = """
from wsol_core import Predictor, TrainConfig, fit

config = TrainConfig(epochs="many")
fit(config, [], [], "model")
Predictor.open(3)
"""


@pytest.mark.slow
def test_the_examples_pass_mypy_strict_and_wrong_uses_do_not(tmp_path: Path) -> None:
    for example in EXAMPLES.glob("*.py"):
        shutil.copy(example, tmp_path)
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    # Errors within wsol_core are hidden as those of an installed package are.
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--disable-error-code=import-untyped",
        "--follow-imports=silent",
        "--no-error-summary",
        ".",
    ]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    found = [line.partition(": error: ")[0] for line in done.stdout.splitlines() if ": error: " in line]
    assert found == ["wrong.py:4", "wrong.py:5", "wrong.py:6"], done.stdout + done.stderr
    assert (ROOT / "wsol_core" / "py.typed").is_file()
