"""What a task teaches, and which tasks only judge; as frozen in a run's manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend.jobs.manifest import ManifestLine, Part, manifest_line, read_pictures
from backend.labelstudio.corrections import in_holdout
from backend.labelstudio.label_config import LabelConfig
from tests.backend.support.fake_project import CONFIG as XML
from tests.backend.support.fake_project import PROJECT, choice, drawn_box

CONFIG = LabelConfig.parse(XML)
HELD = next(number for number in range(1, 100) if in_holdout(PROJECT, number))
TAUGHT = next(number for number in range(1, 100) if not in_holdout(PROJECT, number))


def task(number: int, *annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    found = [{**annotation, "id": index} for index, annotation in enumerate(annotations, 1)]
    return {"id": number, "data": {"image": "/picture"}, "annotations": found, "predictions": [], **more}


def test_a_class_alone_is_trained_on_also_where_a_correction_would_be_held_out() -> None:
    line = manifest_line(task(HELD, choice("fish")), CONFIG, PROJECT)
    assert line == ManifestLine(HELD, ("fish",), (), Part.TRAIN)


def test_nothing_is_learned_from_a_task_without_a_class() -> None:
    assert manifest_line(task(TAUGHT), CONFIG, PROJECT) is None


def test_a_fifth_of_the_corrected_tasks_is_held_out_and_always_the_same() -> None:
    parts = {}
    for number in range(1, 1001):
        line = manifest_line(task(number, choice("fish"), drawn_box("fish")), CONFIG, PROJECT)
        assert line is not None and len(line.regions) == 1
        parts[number] = line.part
    held = [number for number, part in parts.items() if part == Part.HOLDOUT]
    assert 150 < len(held) < 250 and held == [number for number in parts if in_holdout(PROJECT, number)]


def test_a_class_whose_regions_were_all_removed_is_not_taught() -> None:
    region = {**drawn_box("fish")["result"][0], "id": "predicted", "origin": "prediction"}
    predicted = {"id": 5, "result": [region], "model_version": "boxstrap-7-0001", "score": 0.4}
    emptied = {**choice("fish"), "parent_prediction": 5}
    given = {"image": "/picture", "label": "fish"}
    assert manifest_line(task(TAUGHT, emptied, predictions=[predicted], data=given), CONFIG, PROJECT) is None


def test_classes_are_those_of_the_pictures_that_are_trained_on(tmp_path: Path) -> None:
    box = {"label": "crab", "box_xyxy": [1, 2, 30, 40], "mask": "masks/2-0.png"}
    lines = [
        {"task": 1, "labels": ["fish", "ant"], "regions": [], "part": "train"},
        {"task": 2, "labels": ["crab"], "regions": [box], "part": "holdout"},
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    pictures = read_pictures(manifest)
    assert pictures.classes == ("ant", "fish")
    (held,) = pictures.holdout
    assert held.file == "task 2" and held.path == tmp_path / "pictures" / "2"
    assert held.regions[0].box_xyxy == (1, 2, 30, 40) and held.regions[0].mask_path == tmp_path / "masks" / "2-0.png"
