"""`boxstrap export`: from a project and from a file of predictions, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.cli import main
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.region_shapes import box_of, mask_of
from tests.backend.support.command_line import error_of
from tests.backend.support.fake_label_studio import PROJECT, fake_label_studio
from tests.backend.support.fake_people import FakeProject, config_of
from wsol_core.localization.predictions_file import write_predictions
from wsol_core.records import Localization, Region, Unreadable

MASK = np.zeros((60, 80), np.bool_)
MASK[10:40, 20:70] = True
CRAB = Region("crab", (20, 10, 70, 40), 0.75, (), MASK)


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Two pictures, one of them for tests, and one that cannot be read."""
    pictures = tmp_path / "pictures"
    (pictures / "sea").mkdir(parents=True)
    rows = []
    for name, split in (("sea/a.png", "train"), ("sea/b.png", "test")):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(pictures / name)
        rows.append(json.dumps({"file": name, "label": "crab", "split": split}))
    (pictures / "annotations.jsonl").write_text("\n".join(rows))
    scores = {"crab": 0.9, "fish": 0.1}
    found = [Localization(name, (80, 60), scores, (CRAB,)) for name in ("sea/a.png", "sea/b.png")]
    write_predictions([*found, Unreadable("sea/c.png", "sea/c.png is torn.")], tmp_path / "boxes", images=pictures)
    return tmp_path / "boxes" / "predictions.jsonl"


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeProject]:
    """Four tasks: a changed one, an accepted one, one that nobody reviewed, one without anything."""
    people = FakeProject(7, tasks=4)
    people.submit(people.tasks[0], "move")
    people.submit(people.tasks[1], "leave")
    people.tasks[3]["predictions"] = []
    for task in people.tasks:
        task["data"]["image"] = f"/data/upload/7/{task['id']}.png"
    with fake_label_studio() as server:
        config = config_of("crab", "fish")
        server.answers["GET /api/projects/7/"] = (200, {**PROJECT, "label_config": config, "task_number": 4})
        server.answers["GET /api/tasks/"] = (200, {"tasks": people.tasks})
        monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", "legacy")
        monkeypatch.setenv("BOXSTRAP_HOME", str(tmp_path / "home"))
        yield people


def test_a_file_of_predictions_becomes_coco_with_its_splits_and_pictures(
    predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(predictions), "--format", "coco", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "Exported as coco" in said.out and "Warning: sea/c.png is torn." in said.err
    [image] = json.loads((tmp_path / "out/annotations/instances_test.json").read_text())["images"]
    assert (image["file_name"], image["width"], image["height"]) == ("sea__b.png", 80, 60)
    assert (tmp_path / "out/images/sea__b.png").is_file()


def test_a_file_of_predictions_becomes_tasks_for_label_studio(predictions: Path, tmp_path: Path) -> None:
    assert main(["export", str(predictions.parent), "--format", "label-studio", "--out", str(tmp_path / "out")]) == 0
    first = json.loads((tmp_path / "out/tasks.json").read_text())[0]
    config = LabelConfig.parse((tmp_path / "out/label_config.xml").read_text())
    assert first["data"] == {"image": "/data/local-files/?d=images/sea__a.png", "file": "sea/a.png", "split": "train"}
    assert (tmp_path / "out/images/sea__a.png").is_file()
    by_type = {region["type"]: region for region in first["predictions"][0]["result"]}
    assert set(by_type) == {"rectanglelabels", "bitmasklabels"} and config.classes == ("crab", "fish")
    mask = mask_of(by_type["bitmasklabels"])
    assert box_of(by_type["rectanglelabels"]) == pytest.approx((20, 10, 70, 40), abs=0.01)
    assert mask is not None and (mask == MASK).all()


def test_predictions_below_a_score_are_left_out(predictions: Path, tmp_path: Path) -> None:
    options = ["--format", "yolo", "--out", str(tmp_path / "out"), "--min-score", "0.8"]
    assert main(["export", str(predictions), *options]) == 0
    assert (tmp_path / "out/labels/train/sea__a.txt").read_text() == ""


def test_files_of_older_versions_are_read_where_their_pictures_are_named(
    predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = [json.loads(line) for line in predictions.read_text().splitlines()]
    for line in old[:2]:
        line["label"] = line.pop("predicted_label")
        for name in ("path", "width", "height"):
            del line[name]
    predictions.write_text("\n".join(map(json.dumps, old)))
    options = ["--format", "voc", "--out", str(tmp_path / "out"), "--images", str(tmp_path / "pictures")]
    assert main(["export", str(predictions), *options]) == 0
    assert "<width>80</width>" in (tmp_path / "out/Annotations/sea__a.xml").read_text()
    assert (tmp_path / "out/JPEGImages/sea__a.png").is_file()


def test_a_project_leaves_with_sources_and_pictures(
    project: FakeProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "7", "--format", "csv", "--out", str(tmp_path / "out"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["objects"] == {"human": 1, "accepted": 3, "predicted": 2}
    assert facts["notes"] == ["Tasks that nobody has reviewed, without a predicted object, are left out: 1."]
    # Label Studio said 200 x 100; the picture has 4 x 3 pixels, and that is what counts.
    row = (tmp_path / "out/objects.csv").read_text().splitlines()[1].split(",")
    assert row[3] == "crab" and [float(value) for value in row[4:8]] == pytest.approx([0.6, 0.3, 1.4, 1.2])


def test_a_project_comes_out_as_label_studio_takes_it_in(project: FakeProject, tmp_path: Path) -> None:
    options = ["--format", "label-studio", "--out", str(tmp_path / "out"), "--pictures", "none"]
    assert main(["export", "7", *options]) == 0
    tasks = json.loads((tmp_path / "out/tasks.json").read_text())
    assert [task["data"]["image"] for task in tasks] == [task["data"]["image"] for task in project.tasks[:3]]
    assert tasks[0]["annotations"][0]["result"] == project.tasks[0]["annotations"][0]["result"]
    assert tasks[2]["predictions"][0]["result"] == project.tasks[2]["predictions"][0]["result"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere", "--format", "coco"), "nowhere is neither a project's number nor a predictions.jsonl"),
        (("7", "--format", "coco"), "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are not both set"),
    ],
)
def test_a_source_that_cannot_be_read_is_a_sentence(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("LABEL_STUDIO_URL", raising=False)
    assert sentence in error_of(capsys, "export", *arguments, "--out", tmp_path / "out")


def test_an_unknown_format_is_named_with_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(capsys, "export", "7", "--format", "excel", "--out", tmp_path, code=2)
    assert "coco, yolo, yolo-seg, voc, label-studio, csv" in said


def test_an_older_export_is_replaced_only_by_force(
    predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(predictions), "--format", "csv", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    capsys.readouterr()
    assert "add --force" in error_of(capsys, *command)
    assert main([*command, "--force"]) == 0
