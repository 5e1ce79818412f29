"""`boxstrap convert`: what it says, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.cli import main
from backend.commands.convert import KINDS
from tests.backend.support.command_line import error_of
from tests.wsol_core.datasets.miniature_trees import cub_tree
from wsol_core.datasets import convert as library


def test_convert_says_what_was_read_and_what_is_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = cub_tree(tmp_path / "CUB_200_2011"), tmp_path / "cub"
    assert main(["convert", "cub", str(source), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "pictures, train  4\n" in said and f"Next: boxstrap train {out} --out model" in said
    assert main(["convert", "cub", str(source), "--out", str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == {"train": 4, "test": 4}


def test_the_program_knows_the_kinds_that_the_library_reads() -> None:
    assert tuple(library.KINDS) == KINDS


@pytest.mark.parametrize(("kind", "code"), [("cub", 1), ("imagenet", 2)])
def test_what_is_no_such_data_set_is_named(
    tmp_path: Path, kind: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    said = error_of(capsys, "convert", kind, tmp_path, "--out", tmp_path / "out", code=code)
    assert "has no folder images" in said if code == 1 else "'imagenet' is unknown" in said
