"""`boxstrap evaluate`: the table, the report, JSON, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backend.cli import main
from tests.backend.support.command_line import error_of


def test_evaluate_shows_a_row_for_all_and_for_each_class_and_writes_the_report(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ["--report", str(tmp_path / "report")]
    assert main(["evaluate", str(model), str(pictures), "--split", "test", *report]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in said[2:5]] == [["all", "2"], ["fish", "1"], ["ladybird", "1"]]
    objects = next(row for row, line in enumerate(said) if "CorLoc" in line)
    assert [line.split()[:2] for line in said[objects + 1 : objects + 4]] == [
        ["all", "2"],
        ["fish", "1"],
        ["ladybird", "1"],
    ]
    assert said[-3].startswith("Edits a picture: ") and "by hand" in said[-3] and said[-2].startswith("Mistakes: ")
    assert said[-1] == f"The report: {tmp_path / 'report' / 'index.html'}"
    assert "GT-known Loc" in (tmp_path / "report" / "index.html").read_text()


@pytest.mark.slow
def test_evaluate_tells_programs_everything_in_json(
    pictures: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(model), str(pictures), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["metrics"]["pictures"] == 12 and facts["report"] is None
    assert {"gt_known_loc", "top1_loc", "top5_loc", "max_box_acc", "max_box_acc_v2", "px_ap", "mask_iou"} <= set(
        facts["metrics"]
    )
    assert set(facts["per_class"]) == {"fish", "ladybird"}
    objects = facts["instances"]
    assert set(objects["per_class"]) == {"fish", "ladybird"} and objects["overall"]["pictures"] == 12
    assert {"corloc", "ap50", "ap", "mask_ap", "recall80", "predicted", "true"} <= set(objects["per_class"]["fish"])
    assert {"edits", "edits_by_hand", "edits_saved"} <= set(objects["overall"])
    assert {"missed", "merged", "split", "loose", "wrong class", "nothing there"} == set(objects["mistakes"])


def test_evaluate_names_a_class_that_the_model_does_not_know(
    pictures: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pictures, tmp_path / "pictures")
    lines = tmp_path / "pictures" / "annotations.jsonl"
    lines.write_text(lines.read_text().replace('"label": "fish"', '"label": "whale"'))
    said = error_of(capsys, "evaluate", model, tmp_path / "pictures")
    assert "The model does not know the class 'whale'" in said and "it knows fish, ladybird" in said


def test_evaluate_needs_true_boxes(pictures: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "None of the images has a true box" in error_of(capsys, "evaluate", model, pictures / "images")
