"""Each format, read back by its own readers: pycocotools, torchvision, our readers of published data sets."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import coco
from torchvision.datasets import CocoDetection

from tests.wsol_core.exports.exported import CLASSES, DISC, RING, SIZE_WH, three_images
from wsol_core.datasets.voc_xml import read_xml
from wsol_core.exports.coco import CocoFormat
from wsol_core.exports.export_folder import write_dataset
from wsol_core.exports.formats import FORMATS, OpenFormat
from wsol_core.ops.masks import mask_iou

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools decodes


def written(tmp_path: Path, open_format: OpenFormat) -> Path:
    out = tmp_path / "out"
    done = write_dataset(three_images(tmp_path / "pictures"), CLASSES, open_format, out)
    assert (done.images, done.empty) == ({"train": 2, "val": 1}, 1)
    assert done.objects == {"human": 1, "accepted": 1, "predicted": 1}
    return out


def test_pycocotools_reads_boxes_masks_and_images_without_objects(tmp_path: Path) -> None:
    read = coco.COCO(written(tmp_path, FORMATS["coco"]) / "annotations" / "instances_train.json")
    assert [category["name"] for category in read.loadCats(read.getCatIds())] == CLASSES
    assert read.getImgIds() == [11, 13] and read.getAnnIds(imgIds=[13]) == []
    disc, ring = read.loadAnns(read.getAnnIds(imgIds=[11]))
    assert disc["bbox"] == [60.25, 26.0, 40.25, 28.0] and (disc["category_id"], ring["category_id"]) == (2, 1)
    assert (disc["source"], ring["source"], "score" in disc) == ("human", "accepted", False)
    for annotation, mask in ((disc, DISC), (ring, RING)):
        # A hole is a cut without width; pycocotools fills each polygon by the rule of even and odd.
        assert mask_iou(read.annToMask(annotation).astype(np.bool_), mask) >= 0.97


def test_run_lengths_keep_every_pixel(tmp_path: Path) -> None:
    read = coco.COCO(written(tmp_path, CocoFormat.with_run_lengths) / "annotations" / "instances_train.json")
    masks = [read.annToMask(annotation) for annotation in read.loadAnns(read.getAnnIds(imgIds=[11]))]
    assert (masks[0] == DISC).all() and (masks[1] == RING).all()


def test_pycocotools_evaluates_predictions_on_what_people_left(tmp_path: Path) -> None:
    from pycocotools.cocoeval import COCOeval

    out = written(tmp_path, FORMATS["coco"])
    truth = coco.COCO(out / "annotations" / "instances_val.json")
    found = truth.loadRes(json.loads((out / "annotations" / "instances_val.json").read_text())["annotations"])
    evaluation = COCOeval(truth, found, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_torchvision_loads_the_pictures_that_the_json_names(tmp_path: Path) -> None:
    out = written(tmp_path, FORMATS["coco"])
    data = CocoDetection(str(out / "images"), str(out / "annotations" / "instances_train.json"))
    image, target = data[0]
    assert image.size == SIZE_WH and len(target) == 2 and len(data) == 2


def test_yolo_has_a_line_an_object_and_an_empty_file_for_none(tmp_path: Path) -> None:
    out = written(tmp_path, FORMATS["yolo"])
    assert (out / "images/train/a.png").is_file() and (out / "images/val/b.png").is_file()
    first = (out / "labels/train/a.txt").read_text().splitlines()[0].split()
    assert first[0] == "1"
    x, y, w, h = np.array(first[1:], float) * (120, 90, 120, 90)
    assert (x, y, w, h) == pytest.approx((80.375, 40, 40.25, 28), abs=1e-3)
    assert (out / "labels/train/c.txt").read_text() == ""
    yaml = (out / "data.yaml").read_text()
    assert yaml == 'train: images/train\nval: images/val\nnames:\n  0: "crab"\n  1: "fish"\n'


def test_outlines_of_yolo_filled_as_ultralytics_does_are_the_masks(tmp_path: Path) -> None:
    out = written(tmp_path, FORMATS["yolo-seg"])
    for line, mask in zip((out / "labels/train/a.txt").read_text().splitlines(), (DISC, RING), strict=True):
        ring = np.array(line.split()[1:], float).reshape(-1, 2) * SIZE_WH
        # Four times as large, so that whole coordinates lose nothing.
        canvas = np.zeros((4 * SIZE_WH[1], 4 * SIZE_WH[0]), np.uint8)
        cv2.fillPoly(canvas, [(4 * ring).round().astype(np.int32)], 1)
        shrunk = cv2.resize(canvas.astype(np.float32), SIZE_WH, interpolation=cv2.INTER_AREA) > 0.5
        assert mask_iou(shrunk, mask) >= 0.97
    [line] = (out / "labels/val/b.txt").read_text().splitlines()
    assert len(line.split()) == 9  # of an object without a mask the corners of its box


def test_voc_has_boxes_from_one_and_masks_by_object_and_class(tmp_path: Path) -> None:
    out = written(tmp_path, FORMATS["voc"])
    read = read_xml(out / "Annotations" / "a.xml")
    assert read.size_wh == SIZE_WH
    assert next((each.name, each.box) for each in read.objects) == ("fish", (61, 27, 101, 54))
    objects = np.asarray(Image.open(out / "SegmentationObject" / "a.png"))
    assert (objects == 1)[DISC].all() and ((objects == 2) == (RING & ~DISC)).all()
    assert set(np.unique(np.asarray(Image.open(out / "SegmentationClass" / "a.png")))) == {0, 1, 2}
    assert not (out / "SegmentationObject" / "b.png").exists()
    assert (out / "ImageSets/Main/train.txt").read_text() == "a\nc\n"
    assert (out / "ImageSets/Segmentation/train.txt").read_text() == "a\n"
    declared = (out / "labelmap.txt").read_text().splitlines()[1:]
    assert declared == ["background:0,0,0::", f"{CLASSES[0]}:128,0,0::", f"{CLASSES[1]}:0,128,0::"]


def test_tables_have_a_row_an_object_and_a_row_an_image(tmp_path: Path) -> None:
    out = written(tmp_path, FORMATS["csv"])

    def rows(name: str) -> list[dict[str, Any]]:
        with (out / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    images, objects = rows("images.csv"), rows("objects.csv")
    assert [(row["file"], row["objects"], row["reviewed"]) for row in images] == [
        ("a.png", "2", "1"),
        ("b.png", "1", "0"),
        ("c.png", "0", "1"),
    ]
    assert [(row["source"], row["score"]) for row in objects] == [
        ("human", ""),
        ("accepted", ""),
        ("predicted", "0.75"),
    ]
    assert (np.asarray(Image.open(out / objects[1]["mask"])) == RING).all()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_says_in_one_file_what_it_holds(kind: str, tmp_path: Path) -> None:
    facts = json.loads((written(tmp_path, FORMATS[kind]) / "export.json").read_text())
    assert facts["images"] == {"train": 2, "val": 1} and facts["classes"] == CLASSES
