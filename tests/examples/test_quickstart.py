"""examples/quickstart.ipynb: its cells run in order in a fresh interpreter, and what they show is in the file."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.examples.programs import EXAMPLES, run

NOTEBOOK = EXAMPLES / "quickstart.ipynb"
MOST_BYTES = 500_000


def outputs(notebook: Path) -> list[list[dict[str, Any]]]:
    """The outputs of each code cell."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]


def kinds(notebook: Path) -> list[list[str]]:
    return [[kind for output in cell for kind in output.get("data", {"stream": ""})] for cell in outputs(notebook)]


@pytest.mark.slow
def test_every_cell_runs_and_shows_what_the_file_holds(tmp_path: Path) -> None:
    copy = tmp_path / NOTEBOOK.name
    copy.write_bytes(NOTEBOOK.read_bytes())
    run("-m", "tests.examples.notebook", copy, "--parameters", "EPOCHS, IMAGES = 2, 12", "--write", cwd=tmp_path)
    assert kinds(copy) == kinds(NOTEBOOK)


def test_the_file_shows_pictures_and_stays_small() -> None:
    shown = [output["data"] for cell in outputs(NOTEBOOK) for output in cell if "data" in output]
    pictures = [Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))) for data in shown]
    assert len(pictures) == 4
    assert NOTEBOOK.stat().st_size < MOST_BYTES
