"""What a task teaches, and which tasks only judge; as frozen in a run's manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import DamagedFileError
from backend.jobs.context import job_context
from backend.jobs.manifest import frozen_manifest, read_pictures
from backend.labelstudio.brush_rle import encode_mask
from backend.labelstudio.corrections import in_holdout
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.manifest_line import ManifestLine, Part, manifest_line
from backend.settings import Settings
from tests.backend.support.fake_project import CONFIG as XML
from tests.backend.support.fake_project import PROJECT, FakeLabelStudio, choice, drawn_box
from wsol_core.data.images import open_mask

CONFIG = LabelConfig.parse(XML)
BRUSH = '<BrushLabels name="brush" toName="image"><Label value="fish"/></BrushLabels>'
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


@pytest.mark.parametrize(("number", "part"), [(TAUGHT, Part.TRAIN), (HELD, Part.HOLDOUT)])
def test_a_picture_in_which_people_left_nothing_is_one_without_classes(number: int, part: Part) -> None:
    region = {**drawn_box("fish")["result"][0], "id": "predicted", "origin": "prediction"}
    predicted = {"id": 5, "result": [region], "model_version": "boxstrap-7-0001", "score": 0.4}
    emptied = {"result": [], "parent_prediction": 5}
    given = {"image": "/picture", "label": "fish"}
    line = manifest_line(task(number, emptied, predictions=[predicted], data=given), CONFIG, PROJECT)
    assert line == ManifestLine(number, (), (), part)


def test_pictures_without_classes_are_backgrounds_of_a_training_and_judged_as_such(tmp_path: Path) -> None:
    lines = [
        {"task": 1, "labels": ["fish"], "regions": [], "part": "train"},
        {"task": 2, "labels": [], "regions": [], "part": "train"},
        {"task": 3, "labels": [], "regions": [], "part": "holdout"},
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    pictures = read_pictures(manifest)
    assert ([sample.file for sample in pictures.train], pictures.classes) == (["task 1"], ("fish",))
    assert list(pictures.empty) == [tmp_path / "pictures" / "2"]
    assert [sample.file for sample in pictures.holdout] == ["task 3"]


@pytest.mark.slow
def test_each_page_of_a_task_is_a_picture(settings: Settings, label_studio: FakeLabelStudio) -> None:
    label_studio.config = XML.replace('value="$image"', 'valueList="$pages"')
    number = next(each["id"] for each in label_studio.tasks if not in_holdout(PROJECT, each["id"]))
    pages = label_studio.task(number)
    pages["data"] = {"pages": [pages["data"]["image"]] * 2}
    boxes = [{**drawn_box("fish")["result"][0], "id": f"{page}", "item_index": page} for page in (0, 1, 1)]
    pages["annotations"] = [{"id": 2, "updated_at": "2026-01-02T00:00:00Z", "result": boxes}]
    job_context.cache_clear()
    context = job_context()
    pictures = read_pictures(frozen_manifest(context, context.stores.runs.create(PROJECT, {})))
    context.label_studio().close()
    job_context.cache_clear()
    found = {sample.file: len(sample.regions) for sample in pictures.train if sample.regions}
    assert found == {f"task {number}": 1, f"task {number}.1": 2}


def test_manifests_of_earlier_builds_have_one_mask_for_all_objects_of_a_class(tmp_path: Path) -> None:
    boxes = [[1, 2, 30, 40], [20, 2, 60, 40]]
    regions = [{"label": "crab", "box_xyxy": box, "mask": "masks/2-0.png"} for box in boxes]
    line = {"task": 2, "labels": ["crab"], "regions": regions, "part": "train"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    (sample,) = read_pictures(tmp_path / "manifest.jsonl").train
    assert [list(region.box_xyxy) for region in sample.regions] == boxes
    assert {region.mask_path for region in sample.regions} == {tmp_path / "masks" / "2-0.png"}


@pytest.mark.slow
def test_touching_objects_of_a_class_have_a_mask_file_each(settings: Settings, label_studio: FakeLabelStudio) -> None:
    label_studio.config = XML.replace("</View>", BRUSH + "</View>")
    size = {"original_width": 100, "original_height": 80, "image_rotation": 0}
    results: list[dict[str, Any]] = []
    masks = np.zeros((2, 80, 100), np.bool_)
    for index, (x0, x1) in enumerate(((10, 40), (40, 90))):
        masks[index, 10:60, x0:x1] = True
        values = {
            "rectanglelabels": {"x": x0, "y": 12.5, "width": x1 - x0, "height": 62.5, "rotation": 0},
            "brushlabels": {"format": "rle", "rle": encode_mask(masks[index])},
        }
        for kind, value in values.items():
            name = "box" if kind == "rectanglelabels" else "brush"
            where = {"id": f"{name}{index}", "from_name": name, "to_name": "image", "type": kind, **size}
            results.append({**where, "value": {**value, kind: ["fish"]}})
    task = label_studio.task(TAUGHT)
    task["annotations"] = [{"id": 2, "updated_at": "2026-01-02T00:00:00Z", "result": results}]
    job_context.cache_clear()
    context = job_context()
    run = context.stores.runs.create(PROJECT, {})
    pictures = read_pictures(frozen_manifest(context, run))
    context.label_studio().close()
    job_context.cache_clear()
    [sample] = [each for each in pictures.train if each.regions]
    assert sample.file == f"task {TAUGHT}" and [region.label for region in sample.regions] == ["fish", "fish"]
    saved = [open_mask(region.mask_path) > 0 for region in sample.regions if region.mask_path]
    assert np.array_equal(np.stack(saved), masks)


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


@pytest.mark.parametrize("line", ["{", "[]", "7", '{"part": "x"}', '{"part": "train", "labels": 7}', "[" * 100_000])
def test_a_manifest_that_cannot_be_understood_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "manifest.jsonl").write_text(line)
    with pytest.raises(DamagedFileError, match=r"manifest.jsonl.*start the training again"):
        read_pictures(tmp_path / "manifest.jsonl")
