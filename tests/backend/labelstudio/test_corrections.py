"""What people drew becomes boxes and masks; what they left as the model made it does not."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backend.labelstudio.brush_rle import encode_mask
from backend.labelstudio.corrections import cleared_labels, drawn_regions, in_holdout
from tests.backend.labelstudio.all_controls import CONFIG, SIZE

MASK = np.zeros((100, 200), np.bool_)
MASK[20:40, 30:60] = True


def region(name: str, kind: str, origin: str = "manual", label: str = "crab", **value: Any) -> dict[str, Any]:
    where = {"id": "r", "from_name": name, "to_name": "image", "type": kind, "origin": origin}
    return {**where, **SIZE, "value": {**value, kind: [label]}}


def box(x: float, y: float, w: float, h: float, rotation: float = 0, **more: str) -> dict[str, Any]:
    return region("box", "rectanglelabels", x=x, y=y, width=w, height=h, rotation=rotation, **more)


def brush(**more: str) -> dict[str, Any]:
    return region("brush", "brushlabels", format="rle", rle=encode_mask(MASK), **more)


def task(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 1, "annotations": [{"id": 1, "result": list(results), "was_cancelled": False, **more}]}


def test_a_box_comes_in_pixels_of_the_picture() -> None:
    (found,) = drawn_regions(task(box(10, 20, 50, 60)), CONFIG)
    assert (found.label, found.box_xyxy, found.mask) == ("crab", (20, 20, 120, 80), None)


def test_a_box_fits_a_picture_of_another_size_than_label_studio_saw() -> None:
    (found,) = drawn_regions(task(box(10, 20, 50, 60)), CONFIG)
    assert found.box_in((100, 200)) == (10, 40, 60, 160)


def test_a_box_beyond_the_picture_is_cut_at_its_border() -> None:
    (found,) = drawn_regions(task(box(-10, 50, 200, 90)), CONFIG)
    assert found.box_xyxy == (0, 50, 200, 100)


def test_a_turned_box_becomes_the_upright_one_around_it() -> None:
    (found,) = drawn_regions(task(box(50, 50, 10, 10, rotation=90)), CONFIG)  # 20 x 10 px about (100, 50)
    assert found.box_xyxy == pytest.approx((90, 50, 100, 70))


def test_a_brush_mask_alone_gets_its_own_box() -> None:
    (found,) = drawn_regions(task(brush()), CONFIG)
    assert found.box_xyxy == (30, 20, 60, 40)
    assert found.mask is not None and np.array_equal(found.mask, MASK)


def test_a_box_gets_the_mask_of_its_class_where_that_lies_in_it() -> None:
    inside, elsewhere = drawn_regions(task(box(10, 10, 30, 40), box(60, 60, 20, 20), brush()), CONFIG)
    assert inside.mask is not None and elsewhere.mask is None


def test_bitmasks_and_polygons_are_masks_as_well() -> None:
    png = io.BytesIO()
    Image.fromarray(np.dstack([np.zeros((100, 200, 3), np.uint8), MASK.astype(np.uint8) * 255])).save(png, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
    (bits,) = drawn_regions(task(region("bits", "bitmasklabels", imageDataURL=url)), CONFIG)
    assert bits.box_xyxy == (30, 20, 60, 40)
    corners = [[15, 20], [29.5, 20], [29.5, 39], [15, 39]]
    (outline,) = drawn_regions(task(region("outline", "polygonlabels", points=corners, closed=True)), CONFIG)
    assert outline.box_xyxy == (30, 20, 59, 39)  # of the corners, wherever pixels lie


def test_what_the_model_made_and_nobody_touched_is_no_evidence() -> None:
    assert drawn_regions(task(box(10, 10, 20, 20, origin="prediction"), brush(origin="prediction")), CONFIG) == ()


def test_one_change_makes_the_whole_annotation_count() -> None:
    changed = task(box(10, 10, 20, 20, origin="prediction-changed"), box(50, 50, 20, 20, origin="prediction"))
    assert len(drawn_regions(changed, CONFIG)) == 2


def test_the_newest_annotation_with_regions_counts_and_cancelled_ones_never() -> None:
    old, new = box(0, 0, 10, 10), box(50, 50, 10, 10)
    annotations = [
        {"id": 1, "updated_at": "2026-01-01", "result": [old]},
        {"id": 2, "updated_at": "2026-01-02", "result": [new]},
        {"id": 3, "updated_at": "2026-01-03", "result": [box(90, 90, 5, 5)], "was_cancelled": True},
        {"id": 4, "updated_at": "2026-01-04", "result": [{"type": "choices", "value": {"choices": ["crab"]}}]},
    ]
    (found,) = drawn_regions({"id": 1, "annotations": annotations}, CONFIG)
    assert found.box_xyxy == (100, 50, 120, 60)


def test_ground_truth_counts_before_the_newest_annotation() -> None:
    annotations = [
        {"id": 1, "updated_at": "2026-01-01", "result": [box(0, 0, 10, 10)], "ground_truth": True},
        {"id": 2, "updated_at": "2026-01-02", "result": [box(50, 50, 10, 10)]},
    ]
    (found,) = drawn_regions({"id": 1, "annotations": annotations}, CONFIG)
    assert found.box_xyxy == (0, 0, 20, 10)


def predicted(*regions: dict[str, Any]) -> list[dict[str, Any]]:
    """A task's predictions. An editor adds the origin to what it takes over; "Create annotations" does not."""
    bare = [{key: value for key, value in each.items() if key != "origin"} for each in regions]
    return [{"id": 9, "model_version": "m1", "score": 0.5, "result": bare}]


def test_an_annotation_that_label_studio_made_of_a_prediction_is_no_evidence() -> None:
    predictions = predicted(box(10, 10, 20, 20))
    copied = {"id": 1, "parent_prediction": 9, "result": predictions[0]["result"]}
    assert drawn_regions({"id": 1, "predictions": predictions, "annotations": [copied]}, CONFIG) == ()


def test_classes_are_cleared_when_people_leave_nothing_of_their_predicted_regions() -> None:
    crab, fish = box(10, 10, 20, 20), {**box(50, 50, 20, 20, label="fish"), "id": "f"}

    def cleared(*left: dict[str, Any]) -> tuple[str, ...]:
        annotation = {"id": 1, "parent_prediction": 9, "result": list(left)}
        return cleared_labels({"id": 1, "predictions": predicted(crab, fish), "annotations": [annotation]}, CONFIG)

    assert cleared() == ("crab", "fish")
    assert cleared(crab) == ("fish",)
    assert cleared(crab, {**fish, "id": "drawn anew"}) == ()
    assert cleared(crab, {**crab, "id": "f"}) == ("fish",)  # called a crab after all
    assert cleared_labels(task(crab), CONFIG) == cleared_labels({"id": 1}, CONFIG) == ()


def test_the_holdout_is_a_fifth_and_the_same_for_ever() -> None:
    held = [number for number in range(20000) if in_holdout("7", number)]
    assert 3800 < len(held) < 4200
    assert held[:6] == [6, 21, 30, 32, 33, 36]
    assert held != [number for number in range(20000) if in_holdout("8", number)]
    assert not any(in_holdout("7", number, 0.0) for number in range(100))
    assert all(in_holdout("7", number, 1.0) for number in range(100))


def test_other_labels_empty_boxes_and_torn_masks_are_passed_over() -> None:
    torn = region("brush", "brushlabels", format="rle", rle=[1, 2, 3])
    assert drawn_regions(task(box(1, 1, 0, 5), box(1, 1, 5, 5, label="whale"), torn), CONFIG) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "width", "rle", "points"]), inner)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["box", "brush", "bits", "outline"]), JSON, JSON)
def test_malformed_regions_never_raise(name: str, value: Any, label: Any) -> None:
    kinds = {"box": "rectanglelabels", "brush": "brushlabels", "bits": "bitmasklabels", "outline": "polygonlabels"}
    values = {**(value if isinstance(value, dict) else {"x": value}), kinds[name]: label}
    malformed = {"from_name": name, "type": kinds[name], **SIZE, "value": values}
    assert isinstance(drawn_regions({"annotations": [{"result": [malformed, value]}]}, CONFIG), tuple)
