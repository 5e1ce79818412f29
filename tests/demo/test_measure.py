"""What the demo says of what Label Studio has stored: for pictures of one class, and of several objects and classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.results import to_prediction
from demo.measure import measure, stored, write_sheet
from demo.project import label_config
from wsol_core.records import BoxXyxy, CorrectedRegion, Localization, Region, Sample

SIZE_WH = (100, 80)
LEFT, RIGHT, LOW = (10, 10, 30, 40), (30, 10, 50, 40), (60, 50, 90, 70)
BOTH = (10, 10, 50, 40)
CONFIG = LabelConfig.parse(label_config(("crab", "fish")))


def mask_of(box: BoxXyxy) -> Any:
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    x0, y0, x1, y1 = map(int, box)
    mask[y0:y1, x0:x1] = True
    return mask


def a_sample(folder: Path, *objects: tuple[str, BoxXyxy]) -> Sample:
    cv2.imwrite(str(folder / "a.png"), np.zeros((*SIZE_WH[::-1], 3), np.uint8))
    truth = []
    for number, (label, box) in enumerate(objects):
        cv2.imwrite(str(folder / f"a__{number}.png"), mask_of(box).astype(np.uint8) * 255)
        truth.append(CorrectedRegion(label, box, folder / f"a__{number}.png"))
    labels = tuple(dict.fromkeys(label for label, _ in objects))
    return Sample("a.png", folder / "a.png", labels, truth=tuple(truth))


def a_task(*found: tuple[str, BoxXyxy]) -> dict[str, Any]:
    """A task as Label Studio keeps it, with the prediction that Boxstrap writes of the regions."""
    regions = tuple(Region(label, box, 0.9, (), mask_of(box)) for label, box in found)
    localization = Localization("a.png", SIZE_WH, {"crab": 0.8, "fish": 0.7}, regions)
    return {"data": {"file": "a.png"}, "predictions": [to_prediction(localization, CONFIG, "v1", score_threshold=0)]}


def measured(folder: Path, objects: list[tuple[str, BoxXyxy]], found: list[tuple[str, BoxXyxy]]) -> dict[str, float]:
    return measure(stored([a_task(*found)], [a_sample(folder, *objects)], "v1"))


def test_what_is_found_exactly_is_all_right(tmp_path: Path) -> None:
    objects = [("crab", LEFT), ("crab", RIGHT), ("fish", LOW)]
    rates = measured(tmp_path, objects, objects)
    assert rates == {"GT-known Loc": 1.0, "mask IoU": pytest.approx(1.0), "objects found": 1.0, "edits saved": 1.0}


def test_neighbours_in_one_box_are_not_found_although_their_masks_are(tmp_path: Path) -> None:
    rates = measured(tmp_path, [("crab", LEFT), ("crab", RIGHT), ("fish", LOW)], [("crab", BOTH), ("fish", LOW)])
    assert rates["mask IoU"] == pytest.approx(1.0)
    assert rates["objects found"] == pytest.approx(2 / 3)


def test_each_class_of_a_picture_counts_once_with_its_own_boxes_and_masks(tmp_path: Path) -> None:
    rates = measured(tmp_path, [("crab", LEFT), ("fish", LOW)], [("crab", LOW), ("fish", LOW)])
    assert rates == {"GT-known Loc": 0.5, "mask IoU": pytest.approx(0.5), "objects found": 0.5, "edits saved": 0.0}


def test_a_class_without_a_prediction_counts_as_missed(tmp_path: Path) -> None:
    rates = measured(tmp_path, [("crab", LEFT), ("fish", LOW)], [("fish", LOW)])
    assert rates == {"GT-known Loc": 0.5, "mask IoU": pytest.approx(0.5), "objects found": 0.5, "edits saved": 0.5}


def test_the_largest_box_of_a_class_is_judged(tmp_path: Path) -> None:
    assert measured(tmp_path, [("crab", LEFT)], [("crab", LEFT), ("crab", (0, 0, 100, 80))])["GT-known Loc"] == 0.0
    assert measured(tmp_path, [("crab", LEFT)], [("crab", LEFT), ("crab", (60, 60, 62, 62))])["GT-known Loc"] == 1.0


def test_pictures_without_truth_and_versions_of_others_are_not_measured(tmp_path: Path) -> None:
    assert measured(tmp_path, [], []) == {}
    assert stored([a_task(("crab", LEFT))], [a_sample(tmp_path, ("crab", LEFT))], "v2") == []


def test_a_torn_picture_is_left_out(tmp_path: Path) -> None:
    sample = a_sample(tmp_path, ("crab", LEFT))
    assert len(stored([a_task(("crab", LEFT))], [sample], "v1")) == 1
    sample.path.write_bytes(sample.path.read_bytes()[:20])
    assert stored([a_task(("crab", LEFT))], [sample], "v1") == []


def test_the_sheet_shows_the_boxes_and_masks_of_all_classes(tmp_path: Path) -> None:
    objects = [("crab", LEFT), ("fish", LOW)]
    found = stored([a_task(*objects)], [a_sample(tmp_path, *objects)], "v1")
    assert found[0].mask is not None
    assert (found[0].mask == (mask_of(LEFT) | mask_of(LOW))).all()
    write_sheet(found, tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).any()
