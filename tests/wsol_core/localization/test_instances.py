"""Peaks become objects: neighbours apart, each class that is there with an object, masks of places that agree."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wsol_core.localization.instances import (
    ObjectFields,
    assign_classes,
    find_objects,
    object_regions,
)
from wsol_core.records import FloatMap

CELLS, SIDE = 28, 224
LEFT, RIGHT = (0.25, 0.25, 0.5, 0.75), (0.5, 0.25, 0.75, 0.75)
Box = tuple[float, float, float, float]


def fields(objects: list[tuple[int, float, Box]], classes: int = 2) -> ObjectFields:
    """What a perfect head says of objects (class, probability, box)."""
    centres = np.zeros((classes, CELLS, CELLS), np.float32)
    boxes = np.zeros((4, CELLS, CELLS), np.float32)
    for label, probability, box in objects:
        x0, y0, x1, y1 = (round(value * CELLS) for value in box)
        boxes[:, y0:y1, x0:x1] = np.array(box, np.float32)[:, None, None]
        centres[label, (y0 + y1) // 2, (x0 + x1) // 2] = probability
    return ObjectFields(centres, boxes)


def a_map(*boxes: Box, value: float = 0.9) -> FloatMap:
    full = np.zeros((SIDE, SIDE), np.float32)
    for x0, y0, x1, y1 in boxes:
        full[round(y0 * SIDE) : round(y1 * SIDE), round(x0 * SIDE) : round(x1 * SIDE)] = value
    return full


def box_px(values: NDArray[np.floating]) -> list[int]:
    return [round(float(value) * SIDE) for value in values]


def test_neighbours_that_share_one_blob_of_the_map_are_two_objects() -> None:
    found = find_objects(fields([(0, 0.8, LEFT), (0, 0.7, RIGHT)]), [0], [a_map(LEFT, RIGHT)])
    assert [each.centre for each in found] == pytest.approx([0.8, 0.7])
    regions = object_regions(found, (SIDE, SIDE), ["crab", "fish"], {0: 1.0})
    assert [region.label for region in regions] == ["crab", "crab"]
    for region, box in zip(regions, (LEFT, RIGHT), strict=True):
        assert region.box_xyxy == pytest.approx(box_px(np.array(box)), abs=4)
    assert not (regions[0].mask & regions[1].mask).any()


def test_an_objects_box_is_the_maps_where_both_agree() -> None:
    wide = (0.2, 0.2, 0.55, 0.8)
    (found,) = find_objects(fields([(0, 0.8, wide)]), [0], [a_map(LEFT)])
    (region,) = object_regions([found], (SIDE, SIDE), ["crab"], {0: 1.0})
    assert region.box_xyxy == pytest.approx(box_px(np.array(LEFT)), abs=2)
    assert 0.5 < found.agreement < 0.7


def test_an_objects_box_is_the_heads_where_the_map_shows_something_else() -> None:
    (found,) = find_objects(fields([(0, 0.8, LEFT)]), [0], [a_map((0.25, 0.25, 0.3, 0.3))])
    (region,) = object_regions([found], (SIDE, SIDE), ["crab"], {0: 1.0})
    assert region.box_xyxy == pytest.approx(box_px(np.array(LEFT)), abs=1)
    assert 0 < region.mask.sum() < 400, "the map's part in the box stays its mask"


def test_where_the_map_is_empty_the_box_is_the_mask() -> None:
    (found,) = find_objects(fields([(0, 0.8, LEFT)]), [0], [a_map()])
    (region,) = object_regions([found], (100, 50), ["crab"], {0: 1.0})
    assert region.mask.shape == (50, 100) and region.mask[13:37, 25:50].all()
    assert len(region.polygon) >= 3


def test_a_mask_begins_where_its_box_agrees_best() -> None:
    halo = np.maximum(a_map((0.1, 0.1, 0.9, 0.9), value=0.3), a_map(LEFT, value=0.9))
    all_one = fields([(0, 0.8, LEFT)])
    all_one.boxes[:] = np.array(LEFT, np.float32)[:, None, None]
    (found,) = find_objects(all_one, [0], [halo])
    assert found.threshold >= 0.35 and found.agreement > 0.9


def test_weak_peaks_and_second_peaks_of_one_object_are_none() -> None:
    there = fields([(0, 0.8, LEFT), (0, 0.05, RIGHT)])
    there.centres[0, 10, 8] = 0.6  # another peak within the first object
    found = find_objects(there, [0], [a_map(LEFT, RIGHT)])
    assert [each.centre for each in found] == pytest.approx([0.8])
    assert find_objects(fields([]), [0], [a_map()]) == []


@pytest.mark.parametrize(("most_inside", "objects"), [(1.0, 2), (0.7, 1)])
def test_a_part_of_a_surer_object_is_none_where_that_is_said(most_inside: float, objects: int) -> None:
    part = (0.25, 0.25, 0.375, 0.5)
    there = fields([(0, 0.8, LEFT), (0, 0.6, part)])
    assert len(find_objects(there, [0], [a_map(LEFT)], most_inside)) == objects
    assert len(find_objects(fields([(0, 0.8, LEFT), (0, 0.6, RIGHT)]), [0], [a_map(LEFT)], most_inside)) == 2


def test_a_class_that_is_said_to_be_there_has_its_faint_peak() -> None:
    there = fields([(0, 0.8, LEFT), (1, 0.05, RIGHT)])
    found = find_objects(there, [0, 1], [a_map(LEFT), a_map(RIGHT)])
    assert [(each.label, round(each.centre, 2)) for each in found] == [(0, 0.8), (1, 0.05)]
    assert len(find_objects(fields([(0, 0.8, LEFT), (1, 0.01, RIGHT)]), [0, 1], [a_map(LEFT), a_map()])) == 1


def test_a_method_may_ask_for_surer_centres() -> None:
    there = fields([(0, 0.8, LEFT), (0, 0.3, RIGHT)])
    stricter = ObjectFields(there.centres, there.boxes, least_centre=0.4)
    assert len(find_objects(there, [0], [a_map(LEFT, RIGHT)])) == 2
    assert len(find_objects(stricter, [0], [a_map(LEFT, RIGHT)])) == 1


def test_only_classes_asked_for_are_found() -> None:
    there = fields([(0, 0.8, LEFT), (1, 0.9, RIGHT)])
    assert [each.label for each in find_objects(there, [1], [a_map(RIGHT)])] == [1]


@pytest.mark.parametrize(
    ("centres", "labels"),
    [
        ([[0.9, 0.1], [0.8, 0.3]], [0, 1]),  # the second loses least
        ([[0.9, 0.1], [0.1, 0.8]], [0, 1]),
        ([[0.9, 0.1]], [0]),  # one object alone keeps its class
        ([[0.9, 0.2, 0.1], [0.8, 0.4, 0.3], [0.7, 0.1, 0.6]], [0, 1, 2]),
        ([[0.9], [0.2]], [0, 0]),
    ],
)
def test_every_class_that_is_there_gets_an_object(centres: list[list[float]], labels: list[int]) -> None:
    assert assign_classes(np.array(centres, np.float32)) == labels


def test_scores_are_the_centres_times_the_classes_probability() -> None:
    found = find_objects(fields([(0, 0.8, LEFT)]), [0], [a_map(LEFT)])
    sure, doubtful = (object_regions(found, (SIDE, SIDE), ["crab"], {0: presence})[0].score for presence in (1.0, 0.5))
    assert (sure, doubtful) == pytest.approx((0.8, 0.4))
