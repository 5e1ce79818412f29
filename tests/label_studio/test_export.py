"""A project leaves a real Label Studio in each format, and comes back with the same boxes and masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from label_studio_sdk.converter.brush import mask2rle
from label_studio_sdk.converter.imports.coco import convert_coco_to_ls
from PIL import Image
from pycocotools.coco import COCO

from backend.cli import main
from tests.label_studio.conftest import Place
from tests.label_studio.person import CONFIG
from wsol_core.ops.masks import bounds, mask_iou
from wsol_core.records import BoolMask

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools decodes
]

SIZE_WH = (640, 480)
SIZE = {"original_width": SIZE_WH[0], "original_height": SIZE_WH[1], "image_rotation": 0}
OBJECTS = (("fish", (200, 150), (90, 60), 25), ("ladybird", (480, 330), (70, 110), -10))

Json = dict[str, Any]
Objects = Mapping[str, Sequence[tuple[str, tuple[float, ...], BoolMask]]]  # file -> label, box, mask
Export = Callable[..., Path]


def ellipse(centre: tuple[int, int], axes: tuple[int, int], turn: float) -> BoolMask:
    canvas = np.zeros((SIZE_WH[1], SIZE_WH[0]), np.uint8)
    cv2.ellipse(canvas, centre, axes, turn, 0, 360, 1, cv2.FILLED)
    return canvas.astype(np.bool_)


def region(number: int, kind: str, label: str, value: Json) -> Json:
    control = "box" if kind == "rectanglelabels" else "mask"
    where = {"id": f"r{number}", "from_name": control, "to_name": "image", "type": kind}
    return {**where, **SIZE, "value": {**value, kind: [label]}}


def box_value(x0: float, y0: float, x1: float, y1: float) -> Json:
    width, height = SIZE_WH
    sides = {"x": x0 / width, "y": y0 / height, "width": (x1 - x0) / width, "height": (y1 - y0) / height}
    return {**{name: 100 * value for name, value in sides.items()}, "rotation": 0}


def brush_value(mask: BoolMask) -> Json:
    """By Label Studio's own code, not by ours."""
    return {"format": "rle", "rle": mask2rle(mask.astype(np.uint8) * 255)}


def drawn_by_hand() -> list[Json]:
    masks = [(label, ellipse(*where)) for label, *where in OBJECTS]
    boxes = [region(i, "rectanglelabels", label, box_value(*bounds(mask))) for i, (label, mask) in enumerate(masks)]
    brushes = [region(i + 9, "brushlabels", label, brush_value(mask)) for i, (label, mask) in enumerate(masks)]
    return [*boxes, *brushes]


@pytest.fixture
def export(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    monkeypatch.setenv("LABEL_STUDIO_URL", place.label_studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", place.token)
    monkeypatch.setenv("BOXSTRAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMAGE_HOSTS", "127.0.0.1")

    def run(project: int, kind: str, *options: str) -> Path:
        out = tmp_path / f"{project}-{kind}-{len(list(tmp_path.iterdir()))}"
        assert main(["export", str(project), "--format", kind, "--out", str(out), *options]) == 0
        return out

    return run


@pytest.fixture(scope="module")
def pictures(place: Place) -> list[Path]:
    """Five of SIZE_WH, where Label Studio finds local files."""
    folder = place.folder / "export"
    folder.mkdir()
    paths = [folder / f"{name}.jpg" for name in "abcde"]
    for seed, path in enumerate(paths):
        noise = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).resize(SIZE_WH).save(path)
    return paths


@pytest.fixture(scope="module")
def project(place: Place, pictures: list[Path]) -> int:
    """Uploads, local files, a web address and a data URI; each with two objects, but the last, which shows none."""
    number = place.person.make("export", CONFIG)
    place.person.upload(number, pictures[:2])
    place.person.local_files(number, place.folder, pictures[2:3])
    place.person.import_images(number, [f"{place.web}/{pictures[3].relative_to(place.folder)}"])
    place.person.data_uris(number, pictures[4:])
    tasks = place.person.tasks(number)
    for task in tasks[:-1]:
        place.person.call("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": drawn_by_hand()})
    place.person.call("POST", f"/api/tasks/{tasks[-1]['id']}/annotations/", json={"result": []})
    return number


def read_coco(folder: Path) -> Objects:
    found = {}
    for path in (folder / "annotations").glob("*.json"):
        coco = COCO(path)
        names = {each["id"]: each["name"] for each in coco.loadCats(coco.getCatIds())}
        for image in coco.loadImgs(coco.getImgIds()):
            entries = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
            found[image["file_name"]] = [
                (names[each["category_id"]], tuple(each["bbox"]), coco.annToMask(each).astype(np.bool_))
                for each in entries
            ]
    return found


def same(one: Objects, other: Objects, least_iou: float) -> None:
    """The same objects in as many images, whatever these are called; a picture that shows none cannot be seen to."""
    first, second = (
        [sorted(objects, key=lambda each: each[0]) for objects in side.values() if objects] for side in (one, other)
    )
    assert [len(objects) for objects in first] == [2, 2, 2, 2]
    for mine, theirs in zip(first, second, strict=True):
        for (label, box, mask), (its_label, its_box, its_mask) in zip(mine, theirs, strict=True):
            assert label == its_label and box == pytest.approx(its_box, abs=0.5)
            assert mask_iou(mask, its_mask) >= least_iou


def imported(place: Place, title: str, config: str, tasks: Sequence[Json]) -> int:
    number = place.person.make(title, config)
    place.person.import_tasks(number, tasks)
    return number


def test_pictures_of_all_kinds_leave_with_their_boxes_and_masks(
    project: int, pictures: list[Path], export: Export
) -> None:
    out = export(project, "coco", "--masks", "rle")
    objects = read_coco(out)
    masks = {label: ellipse(*where) for label, *where in OBJECTS}
    for found in objects.values():
        for label, (x, y, w, h), mask in found:
            assert (mask == masks[label]).all()
            assert (x, y, x + w, y + h) == pytest.approx(bounds(mask), abs=0.5)
    exported = {(out / "images" / name).read_bytes() for name in objects}
    assert exported == {path.read_bytes() for path in pictures}
    assert sorted(map(len, objects.values())) == [0, 2, 2, 2, 2]  # reviewed, and empty


def test_label_studios_own_importer_takes_the_coco_export(
    project: int, place: Place, export: Export, tmp_path: Path
) -> None:
    out = export(project, "coco")
    names = [path.name for path in (out / "annotations").iterdir()]
    tasks: list[Json] = []
    for name in names:
        converted = tmp_path / f"{name}.tasks.json"
        convert_coco_to_ls(str(out / "annotations" / name), str(converted))
        tasks += json.loads(converted.read_text())
    config = next(tmp_path.glob("*.label_config.xml")).read_text()
    again = imported(place, "from COCO", config, tasks)
    same(
        read_coco(export(project, "coco", "--masks", "rle")),
        read_coco(export(again, "coco", "--pictures", "none")),
        0.97,
    )


def test_run_lengths_come_back_to_the_pixel(project: int, place: Place, export: Export) -> None:
    before = read_coco(export(project, "coco", "--masks", "rle"))
    tasks = []
    for name, objects in before.items():
        result = []
        for number, (label, (x, y, w, h), mask) in enumerate(objects):
            result.append(region(number, "rectanglelabels", label, box_value(x, y, x + w, y + h)))
            result.append(region(number + 9, "brushlabels", label, brush_value(mask)))
        tasks.append({"data": {"image": f"{place.web}/{name}"}, "annotations": [{"result": result}]})
    again = imported(place, "from run lengths", CONFIG, tasks)
    same(before, read_coco(export(again, "coco", "--masks", "rle", "--pictures", "none")), 1.0)


def test_outlines_of_yolo_seg_come_back_as_polygons(project: int, place: Place, export: Export) -> None:
    out = export(project, "yolo-seg")
    classes = ["ladybird", "fish"]
    tasks = []
    for path in sorted(out.glob("labels/*/*.txt")):
        result = []
        for number, line in enumerate(path.read_text().splitlines()):
            index, *values = line.split()
            points = (100 * np.array(values, float).reshape(-1, 2)).tolist()
            result.append(region(number, "polygonlabels", classes[int(index)], {"points": points, "closed": True}))
        tasks.append({"data": {"image": f"{place.web}/{path.stem}.jpg"}, "annotations": [{"result": result}]})
    config = CONFIG.replace("BrushLabels", "PolygonLabels")
    again = read_coco(
        export(imported(place, "from YOLO", config, tasks), "coco", "--masks", "rle", "--pictures", "none")
    )
    same(read_coco(export(project, "coco", "--masks", "rle")), again, 0.97)


def test_label_studios_format_comes_back_as_it_was(project: int, place: Place, export: Export) -> None:
    out = export(project, "label-studio", "--pictures", "none")
    tasks = json.loads((out / "tasks.json").read_text())
    assert [len(task["annotations"][0]["result"]) for task in tasks] == [4, 4, 4, 4, 0]
    again = imported(place, "from Label Studio", (out / "label_config.xml").read_text(), tasks)
    same(
        read_coco(export(project, "coco", "--masks", "rle")),
        read_coco(export(again, "coco", "--masks", "rle", "--pictures", "none")),
        1.0,
    )
