"""Which regions are one object: two touching crabs stay two, from what people drew to what is learned and counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.labelstudio.brush_rle import encode_mask
from backend.labelstudio.corrections import DrawnRegion, drawn_regions
from backend.labelstudio.objects import new_object_id, region_id
from backend.labelstudio.reviews import review
from backend.storage.ledger_rows import Fate, LedgerRow
from tests.backend.labelstudio.all_controls import CONFIG, SIZE
from wsol_core.evaluation.mistakes import MistakeKind
from wsol_core.records import BoolMask, BoxXyxy

Json = dict[str, Any]
KINDS = {"box": "rectanglelabels", "brush": "brushlabels", "outline": "polygonlabels"}
LEFT: BoxXyxy = (20, 20, 80, 80)
RIGHT: BoxXyxy = (70, 30, 140, 90)  # touches the left one, and their boxes overlap
BOTH: BoxXyxy = (20, 20, 140, 90)


def crab_in(box: BoxXyxy) -> BoolMask:
    """A filled ellipse that fills the box but for its corners."""
    x0, y0, x1, y1 = box
    y, x = np.mgrid[:100, :200] + 0.5
    return np.asarray((2 * x - x0 - x1) ** 2 / (x1 - x0) ** 2 + (2 * y - y0 - y1) ** 2 / (y1 - y0) ** 2 <= 1)


LEFT_CRAB = crab_in(LEFT) & ~crab_in(RIGHT)
RIGHT_CRAB = crab_in(RIGHT)


def region(name: str, control: str, label: str = "crab", origin: str = "manual", **value: Any) -> Json:
    where = {"id": name, "from_name": control, "to_name": "image", "type": KINDS[control], "origin": origin}
    return {**where, **SIZE, "score": 0.8, "value": {**value, KINDS[control]: [label]}}


def box(name: str, xyxy: BoxXyxy, **more: Any) -> Json:
    x0, y0, x1, y1 = xyxy
    return region(name, "box", x=x0 / 2, y=y0, width=(x1 - x0) / 2, height=y1 - y0, rotation=0, **more)


def brush(name: str, mask: BoolMask, **more: Any) -> Json:
    return region(name, "brush", format="rle", rle=encode_mask(mask), **more)


def outline(name: str, xyxy: BoxXyxy, **more: Any) -> Json:
    x0, y0, x1, y1 = xyxy
    corners = [[x0 / 2, y0], [(x1 - 1) / 2, y0], [(x1 - 1) / 2, y1 - 1], [x0 / 2, y1 - 1]]
    return region(name, "outline", points=corners, closed=True, **more)


def as_predicted(*regions: Json) -> list[Json]:
    return [{**each, "origin": "prediction"} for each in regions]


def task(left: list[Json], predicted: list[Json] | None = None) -> Json:
    predictions = [{"id": 5, "model_version": "boxstrap-7-0001", "result": predicted}] if predicted else []
    annotation = {"id": 1, "result": left, "parent_prediction": 5 if predicted else None}
    return {"id": 1, "data": {}, "annotations": [annotation], "predictions": predictions}


def drawn(*left: Json) -> tuple[DrawnRegion, ...]:
    return drawn_regions(task(list(left)), CONFIG)


def said(left: list[Json], predicted: list[Json]) -> LedgerRow:
    row = review(task(left, predicted), CONFIG)
    assert row is not None
    return row


def mask_of(found: DrawnRegion) -> BoolMask:
    assert found.mask is not None
    return found.mask


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 2, 1), (2, 3, 1, 0)])
def test_two_touching_crabs_have_a_mask_each(order: tuple[int, ...]) -> None:
    regions = [box("a", LEFT), box("b", RIGHT), brush("c", RIGHT_CRAB), brush("d", LEFT_CRAB)]
    found = {each.box_xyxy: each for each in drawn(*(regions[index] for index in order))}
    assert set(found) == {LEFT, RIGHT}
    assert np.array_equal(mask_of(found[LEFT]), LEFT_CRAB) and np.array_equal(mask_of(found[RIGHT]), RIGHT_CRAB)


def test_masks_alone_are_an_object_each_with_bounds_of_their_own() -> None:
    left, right = drawn(brush("a", LEFT_CRAB), brush("b", RIGHT_CRAB))
    assert (left.box_xyxy, right.box_xyxy) == ((20, 20, 78, 80), RIGHT)
    assert np.array_equal(mask_of(left), LEFT_CRAB) and np.array_equal(mask_of(right), RIGHT_CRAB)


def test_one_brush_over_two_boxes_is_split_between_them() -> None:
    left, right = drawn(box("a", LEFT), box("b", RIGHT), brush("c", LEFT_CRAB | RIGHT_CRAB))
    parts = mask_of(left), mask_of(right)
    assert not (parts[0] & parts[1]).any() and np.array_equal(parts[0] | parts[1], LEFT_CRAB | RIGHT_CRAB)
    for part, whole in zip(parts, (LEFT_CRAB, RIGHT_CRAB), strict=True):
        assert np.count_nonzero(part & whole) > 0.9 * np.count_nonzero(part | whole)


def test_one_brush_over_three_boxes_is_split_among_them() -> None:
    boxes: list[BoxXyxy] = [(10, 10, 50, 50), (60, 10, 100, 50), (110, 10, 150, 50)]
    crabs = [crab_in(each) for each in boxes]
    found = drawn(*(box(str(index), each) for index, each in enumerate(boxes)), brush("c", np.logical_or.reduce(crabs)))
    assert [each.box_xyxy for each in found] == boxes
    assert all(np.array_equal(mask_of(each), crab) for each, crab in zip(found, crabs, strict=True))


def test_a_neighbour_that_only_touches_a_box_is_not_its_mask() -> None:
    left, right = drawn(box("a", LEFT), brush("b", RIGHT_CRAB))
    assert (left.box_xyxy, left.mask, right.box_xyxy) == (LEFT, None, RIGHT)
    assert np.array_equal(mask_of(right), RIGHT_CRAB)
    alone, whole = drawn(box("a", LEFT), box("b", RIGHT), brush("c", RIGHT_CRAB))
    assert alone.mask is None and np.array_equal(mask_of(whole), RIGHT_CRAB)


def test_a_polygon_belongs_to_its_box_and_the_other_box_stays_alone() -> None:
    left, right = drawn(box("a", LEFT), box("b", RIGHT), outline("c", RIGHT))
    assert left.mask is None
    assert np.array_equal(np.argwhere(mask_of(right)).min(0), (30, 70)) and right.box_xyxy == RIGHT


def test_of_an_outline_and_a_brush_of_one_object_what_a_person_changed_counts() -> None:
    predicted = [box("a", LEFT), outline("b", LEFT), brush("c", crab_in(LEFT))]
    kept = as_predicted(*predicted[:2])
    (found,) = drawn_regions(task([*kept, brush("c", LEFT_CRAB, origin="prediction-changed")], predicted), CONFIG)
    assert np.array_equal(mask_of(found), LEFT_CRAB)


def test_the_class_that_a_person_gave_the_box_is_that_of_its_mask() -> None:
    predicted = [box("a", LEFT), brush("b", LEFT_CRAB)]
    called = box("a", LEFT, label="fish", origin="prediction-changed")
    (found,) = drawn_regions(task([called, *as_predicted(predicted[1])], predicted), CONFIG)
    assert found.label == "fish" and np.array_equal(mask_of(found), LEFT_CRAB)


def test_masks_of_two_classes_are_never_one_object() -> None:
    crab, fish = drawn(box("a", LEFT), brush("b", LEFT_CRAB, label="fish"))
    assert (crab.label, crab.mask, fish.label) == ("crab", None, "fish")


def test_ids_of_a_prediction_say_what_belongs_together_wherever_people_move_it() -> None:
    one, two = new_object_id(), new_object_id()
    predicted = [
        *(box(region_id(one, 0), LEFT), box(region_id(two, 0), RIGHT)),
        *(brush(region_id(one, 1), LEFT_CRAB), brush(region_id(two, 1), RIGHT_CRAB)),
    ]
    moved = {**box(region_id(one, 0), RIGHT), "origin": "prediction-changed"}  # onto its neighbour
    for predictions in (predicted, []):  # also where the prediction is gone
        row = review(task([moved, *as_predicted(*predicted[1:])], predictions), CONFIG)
        assert row is not None
        assert [each.fate for each in row.objects] == [Fate.EDITED, Fate.ACCEPTED]


def test_a_box_and_its_mask_are_one_object_that_was_accepted_edited_deleted_or_added() -> None:
    predicted = [box("a", LEFT), brush("b", LEFT_CRAB)]
    whole = as_predicted(*predicted)
    mask = brush("b", crab_in(LEFT), origin="prediction-changed")
    elsewhere = (150.0, 10.0, 190.0, 50.0)
    new = [box("n", elsewhere), brush("m", crab_in(elsewhere))]
    for left, fates in (
        (whole, ["accepted"]),
        ([whole[0], mask], ["edited"]),
        ([whole[0]], ["edited"]),  # its mask went
        ([*whole, *new], ["accepted", "added"]),
        (new, ["added", "deleted"]),
    ):
        assert [each.fate for each in said(left, predicted).objects] == fates
    [edited] = said([whole[0], mask], predicted).objects
    iou = np.count_nonzero(LEFT_CRAB) / np.count_nonzero(crab_in(LEFT))
    assert (edited.box_iou, edited.mask_iou, edited.score) == (1.0, pytest.approx(iou), 0.8)


def test_a_box_drawn_anew_around_the_mask_that_stayed_is_an_edit() -> None:
    predicted = [box("a", BOTH), brush("b", LEFT_CRAB)]
    [found] = said([*as_predicted(predicted[1]), box("new", LEFT)], predicted).objects
    assert (found.fate, found.mask_iou) == (Fate.EDITED, 1.0)
    assert found.box_iou == pytest.approx(3600 / (120 * 70))


def mistakes(left: list[Json], predicted: list[Json]) -> list[tuple[str, str | None]]:
    return [(each.fate, each.mistake) for each in said(left, predicted).objects]


def test_one_prediction_over_two_objects_was_merged() -> None:
    merged = box("a", BOTH)
    shrunk = {**box("a", LEFT), "origin": "prediction-changed"}
    assert mistakes([shrunk, box("n", RIGHT)], [merged]) == [("edited", MistakeKind.MERGED), ("added", None)]
    drawn_anew = [("added", None), ("added", None), ("deleted", MistakeKind.MERGED)]
    assert mistakes([box("m", LEFT), box("n", RIGHT)], [merged]) == drawn_anew
    masks = [brush("m", LEFT_CRAB), brush("n", RIGHT_CRAB)]
    assert mistakes(masks, [brush("a", LEFT_CRAB | RIGHT_CRAB)]) == drawn_anew


def test_two_predictions_on_one_object_were_split() -> None:
    whole = {**box("a", BOTH), "origin": "prediction-changed"}
    assert mistakes([whole], [box("a", LEFT), box("b", RIGHT)]) == [("edited", "split"), ("deleted", "split")]


def test_what_no_prediction_meets_was_missed() -> None:
    left = box("a", LEFT)
    grown = {**box("a", (20, 20, 85, 80)), "origin": "prediction-changed"}
    assert mistakes([*as_predicted(left), box("n", RIGHT)], [left]) == [("accepted", None), ("added", "missed")]
    small = box("n", (30, 30, 50, 50))  # in front of one that fits
    assert mistakes([grown, small], [left]) == [("edited", None), ("added", "missed")]
    fish = box("n", RIGHT, label="fish")
    assert mistakes([fish], [box("a", BOTH)]) == [("added", None), ("deleted", "wrong class")]


def test_where_the_prediction_is_gone_no_mistake_is_known() -> None:
    row = review(task([*as_predicted(box("a", LEFT)), box("n", RIGHT)]), CONFIG)
    assert row is not None and [(each.fate, each.mistake) for each in row.objects] == [
        ("accepted", None),
        ("added", None),
    ]
