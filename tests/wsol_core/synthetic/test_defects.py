"""Drawn surfaces with defects: how many, how large, where, and that the surface does not know their class."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from wsol_core.data.folder import find_images, read_folder
from wsol_core.ops.masks import bounds
from wsol_core.synthetic.dataset import draw_folder
from wsol_core.synthetic.defects import APART_PX, DEFECT_NAMES, draw_defects, draw_flawless
from wsol_core.synthetic.groups import DrawnGroup

SIDES = (128, 176)
PICTURES = 60

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn() -> list[DrawnGroup]:
    return [draw_defects(0, index, 6, SIDES) for index in range(PICTURES)]


def test_there_are_one_to_five_defects_of_all_classes(drawn: list[DrawnGroup]) -> None:
    assert {len(picture.objects) for picture in drawn} == {1, 2, 3, 4, 5}
    assert {each.label for picture in drawn for each in picture.objects} == set(DEFECT_NAMES)
    assert all(picture.labels[0] == DEFECT_NAMES[index % 6] for index, picture in enumerate(drawn))
    assert 0 < np.mean([len(picture.labels) > 1 for picture in drawn]) < 0.5


def test_each_covers_a_thousandth_to_a_tenth_of_the_picture(drawn: list[DrawnGroup]) -> None:
    shares = [each.mask.mean() for picture in drawn for each in picture.objects]
    assert 0.001 <= min(shares) < 0.002
    assert 0.02 < max(shares) <= 0.1


def test_boxes_are_tight_and_masks_apart(drawn: list[DrawnGroup]) -> None:
    for picture in drawn:
        assert all(each.box_xyxy == bounds(each.mask) for each in picture.objects)
        for one, other in combinations(picture.objects, 2):
            away = cv2.distanceTransform((~one.mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            assert away[other.mask].min() > APART_PX - 1


def test_defects_lie_at_the_border_as_often_as_anywhere(drawn: list[DrawnGroup]) -> None:
    centres = [
        ((x0 + x1) / 2 / picture.image.shape[1], (y0 + y1) / 2 / picture.image.shape[0])
        for picture in drawn
        for x0, y0, x1, y1 in (each.box_xyxy for each in picture.objects)
    ]
    middle = np.mean([0.25 < x < 0.75 and 0.25 < y < 0.75 for x, y in centres])
    assert 0.15 < middle < 0.4  # a quarter of the picture


def test_each_differs_from_the_surface_around_it(drawn: list[DrawnGroup]) -> None:
    differences = []
    for picture in drawn:
        grey = cv2.cvtColor(picture.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        everything = np.logical_or.reduce([each.mask for each in picture.objects])
        for each in picture.objects:
            around = (cv2.dilate(each.mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0) & ~everything
            differences.append(abs(float(grey[each.mask].mean() - grey[around].mean())))
    assert np.mean(np.array(differences) > 8) > 0.9


def test_the_surface_does_not_know_the_class() -> None:
    one, two = (draw_defects(3, 1, classes, SIDES) for classes in (1, 2))
    assert (one.labels[0], two.labels[0]) == ("scratch", "spot")
    everything = np.logical_or.reduce([each.mask for picture in (one, two) for each in picture.objects])
    away = cv2.dilate(everything.astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
    assert away.mean() > 0.3
    assert np.abs(one.image.astype(int) - two.image)[away].mean() < 1


def test_the_same_numbers_give_the_same_picture() -> None:
    assert np.array_equal(draw_defects(0, 3, 4, SIDES).image, draw_defects(0, 3, 4, SIDES).image)
    assert not np.array_equal(draw_flawless(0, 3, (128, 128)), draw_flawless(1, 3, (128, 128)))


def test_a_folder_has_a_mask_a_defect_and_surfaces_without_any_beside_it(tmp_path: Path) -> None:
    draw_folder(tmp_path / "set", classes=4, images=16, seed=1, sides_px=(96, 128), subject="defects")
    assert read_folder(tmp_path / "set").classes == tuple(sorted(DEFECT_NAMES[:4]))
    for line in (tmp_path / "set/annotations.jsonl").read_text().splitlines():
        for each in json.loads(line)["objects"]:
            mask = cv2.imread(str(tmp_path / "set" / each["mask"]), cv2.IMREAD_UNCHANGED)
            assert list(bounds(mask > 0)) == each["box"]
    assert len(find_images(tmp_path / "set/negatives")) == 4
