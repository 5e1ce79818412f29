"""What people made of predictions, object by object."""

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
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.reviews import review
from backend.storage.ledger_rows import LedgerRow
from tests.backend.labelstudio.all_controls import CONFIG, SIZE

KINDS = {"box": "rectanglelabels", "brush": "brushlabels", "bits": "bitmasklabels", "outline": "polygonlabels"}

Json = dict[str, Any]


def region(name: str, number: str, label: str = "crab", **value: Any) -> Json:
    where = {"id": number, "from_name": name, "to_name": "image", "type": KINDS[name], "score": 0.8}
    return {**where, **SIZE, "value": {**value, KINDS[name]: [label]}}


def box(number: str, x: float = 10, label: str = "crab") -> Json:
    return region("box", number, label, x=x, y=10, width=20, height=20, rotation=0)


def mask(x: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    found = np.zeros((100, 200), np.bool_)
    found[20:40, x : x + 20] = True
    return found


def bits(number: str, x: int) -> Json:
    png = io.BytesIO()
    Image.fromarray(np.dstack([np.zeros((100, 200, 3), np.uint8), mask(x).astype(np.uint8) * 255])).save(png, "PNG")
    return region("bits", number, imageDataURL=f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}")


def outline(number: str, x: float) -> Json:
    corners = [[x, 20], [x + 10, 20], [x + 10, 40], [x, 40]]
    return region("outline", number, points=corners, closed=True)


def brush(number: str, x: int) -> Json:
    return region("brush", number, format="rle", rle=encode_mask(mask(x)))


def untouched(*regions: Json) -> list[Json]:
    return [{**each, "origin": "prediction"} for each in regions]


def changed(each: Json) -> Json:
    return {**each, "origin": "prediction-changed"}


def drawn(each: Json) -> Json:
    return {**each, "origin": "manual"}


def prediction(*regions: Json, number: int = 5, version: str = "boxstrap-7-0001") -> Json:
    return {"id": number, "model_version": version, "score": 0.7, "result": list(regions)}


def annotation(*results: Json, number: int = 1, parent: int | None = 5, **more: Any) -> Json:
    known = {"id": number, "was_cancelled": False, "updated_at": f"2026-01-0{number}", "completed_by": 3}
    return {**known, "lead_time": 2.5, "parent_prediction": parent, "result": list(results), **more}


def choice(label: str) -> Json:
    return {"id": "c", "from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [label]}}


def task(predictions: list[Json], *annotations: Json, **data: object) -> Json:
    return {"id": 12, "data": data, "predictions": predictions, "annotations": list(annotations)}


def reviewed(*args: Any, **data: object) -> LedgerRow:
    found = review(task(*args, **data), CONFIG)
    assert found is not None
    return found


def fates(found: LedgerRow) -> list[tuple[str, str | None, float | None]]:
    """With the IoU of the box, or of the mask of an object that has none."""
    return [(each.fate, each.label, each.mask_iou if each.box_iou is None else each.box_iou) for each in found.objects]


def test_an_untouched_prediction_is_accepted() -> None:
    found = reviewed([prediction(box("a"))], annotation(*untouched(box("a")), choice("crab")))
    assert fates(found) == [("accepted", "crab", 1.0)]
    values = found.to_dict()
    digest = values.pop("digest")
    assert len(digest) == 32
    assert values == {
        "task": 12,
        "outcome": "accepted",
        "labels": ["crab"],
        "version": "boxstrap-7-0001",
        "score": 0.7,
        "objects": [
            {
                "label": "crab",
                "fate": "accepted",
                "box_iou": 1.0,
                "mask_iou": None,
                "score": 0.8,
                "mistake": None,
            }
        ],
        "lead_time_s": 2.5,
        "annotator": 3,
        "annotation": 1,
    }


def test_a_moved_box_is_edited_and_overlaps_by_a_third() -> None:
    found = reviewed([prediction(box("a"))], annotation(changed(box("a", x=20))))
    assert (found.outcome, fates(found)) == ("corrected", [("edited", "crab", pytest.approx(1 / 3))])


def test_a_value_that_differs_is_an_edit_whatever_the_origin_says() -> None:
    found = reviewed([prediction(box("a"))], annotation(*untouched(box("a", x=12))))
    assert [each.fate for each in found.objects] == ["edited"]


def test_the_rounding_of_an_editor_is_no_edit() -> None:
    again = box("a", x=10.0000001)
    again["value"]["note"] = "an editor's own"
    assert reviewed([prediction(box("a"))], annotation(*untouched(again))).outcome == "accepted"


def test_another_label_is_an_edit_of_the_same_place() -> None:
    found = reviewed([prediction(box("a"))], annotation(changed(box("a", label="fish"))))
    assert fates(found) == [("edited", "fish", 1.0)]


def test_deleted_and_added_regions_have_nothing_to_compare() -> None:
    found = reviewed([prediction(box("a"), box("b", label="fish"))], annotation(*untouched(box("a")), drawn(box("z"))))
    assert found.outcome == "corrected"
    assert fates(found) == [("accepted", "crab", 1.0), ("added", "crab", None), ("deleted", "fish", None)]
    assert [each.score for each in found.objects] == [0.8, None, 0.8]


@pytest.mark.parametrize(("shape", "moved"), [(brush, 40), (bits, 40), (outline, 20)])
def test_masks_of_every_kind_are_decoded_and_compared(shape: Any, moved: int) -> None:
    found = reviewed(
        [prediction(shape("a", moved - 10 if shape is not outline else 15))], annotation(changed(shape("a", moved)))
    )
    [each] = found.objects
    assert each.fate == "edited" and each.mask_iou == pytest.approx(1 / 3, abs=0.03)


def test_regions_of_two_kinds_are_not_compared() -> None:
    found = reviewed([prediction(box("a"))], annotation(changed(brush("a", 30))))
    assert [(each.fate, each.box_iou, each.mask_iou) for each in found.objects] == [
        ("added", None, None),
        ("deleted", None, None),
    ]


def test_a_torn_mask_is_an_edit_without_an_overlap() -> None:
    torn = {**brush("a", 30), "value": {"format": "rle", "rle": [1, 2], "brushlabels": ["crab"]}}
    assert fates(reviewed([prediction(brush("a", 30))], annotation(changed(torn)))) == [("edited", "crab", None)]


@pytest.mark.parametrize("points", [[], [[None, None]], [[1, 2, 3]], "x", None, [[float("nan"), 1.0]]])
def test_an_outline_that_cannot_be_drawn_is_an_edit_without_an_overlap(points: Any) -> None:
    torn = region("outline", "a", points=points, closed=True)
    assert fates(reviewed([prediction(outline("a", 15))], annotation(changed(torn)))) == [("edited", "crab", None)]


def test_everything_deleted_is_a_correction() -> None:
    found = reviewed([prediction(box("a"), brush("b", 30))], annotation())
    assert (found.outcome, [each.fate for each in found.objects]) == ("corrected", ["deleted"])


def test_classes_chosen_before_there_was_a_prediction_say_nothing_of_it() -> None:
    found = reviewed([prediction(box("a"))], annotation(choice("crab"), parent=None))
    assert (found.outcome, found.labels, found.objects, found.version) == ("open", ("crab",), (), None)


def test_a_prediction_of_classes_alone_leaves_the_task_open() -> None:
    assert reviewed([prediction(choice("crab"))], annotation(choice("crab"))).outcome == "open"


def test_the_prediction_is_found_by_its_number_before_its_regions() -> None:
    both = [prediction(box("a"), number=5, version="old"), prediction(box("a"), number=6, version="new")]
    assert reviewed(both, annotation(*untouched(box("a")), parent=5)).version == "old"
    assert reviewed(both, annotation(*untouched(box("a")), parent=None)).version == "new"
    assert reviewed(both, annotation(drawn(box("z")), parent=None)).version is None


def test_without_its_prediction_a_region_is_what_its_origin_says() -> None:
    found = reviewed([], annotation(*untouched(box("a")), changed(box("b")), drawn(box("c")), parent=None))
    assert [each.fate for each in found.objects] == ["accepted", "edited", "added"]


def test_a_prediction_that_a_newer_version_wrote_over_since_is_not_what_it_began_from() -> None:
    newer = prediction(box("n", x=40), version="boxstrap-7-0002")
    found = reviewed([newer], annotation(*untouched(box("a")), changed(box("b"))))
    assert (found.version, [each.fate for each in found.objects]) == (None, ["accepted", "edited"])
    assert reviewed([newer], annotation(drawn(box("c")))).version == "boxstrap-7-0002"  # nothing was copied


def test_annotations_that_label_studio_made_of_predictions_are_untouched() -> None:
    """Its bulk action copies regions without an origin."""
    assert reviewed([prediction(box("a"))], annotation(box("a"))).outcome == "accepted"


def test_a_skipped_task_is_skipped_unless_somebody_else_said_more() -> None:
    skipped = annotation(number=2, parent=None, was_cancelled=True)
    predictions = [prediction(box("a"))]
    assert reviewed(predictions, skipped).outcome == "skipped"
    assert reviewed(predictions, annotation(choice("crab"), parent=None), skipped).outcome == "skipped"
    assert reviewed(predictions, annotation(*untouched(box("a"))), skipped).outcome == "accepted"
    assert reviewed(predictions, skipped, annotation(choice("crab"), number=3, parent=None)).outcome == "open"


def test_ground_truth_counts_before_the_newest_annotation() -> None:
    best = annotation(*untouched(box("a")), ground_truth=True)
    newer = annotation(drawn(box("z")), number=2)
    found = reviewed([prediction(box("a"))], newer, best)
    assert (found.outcome, found.annotation) == ("accepted", 1)
    assert reviewed([prediction(box("a"))], newer, {**best, "ground_truth": False}).annotation == 2


def test_a_task_without_label_or_annotation_has_no_row() -> None:
    assert review(task([prediction(box("a"))]), CONFIG) is None
    assert reviewed([], label="crab").labels == ("crab",)


def test_another_config_says_other_things_of_the_same_words() -> None:
    only_fish = LabelConfig.parse(
        '<View><Image name="image" value="$image"/>'
        '<RectangleLabels name="box" toName="image"><Label value="fish"/></RectangleLabels></View>'
    )
    said = task([prediction(box("a"))], annotation(changed(box("a", label="fish")), drawn(box("z"))))
    before, after = review(said, CONFIG), review(said, only_fish)
    assert before is not None and after is not None
    assert (before.labels, after.labels) == (("fish", "crab"), ("fish",))
    assert before.digest == after.digest


def test_the_digest_changes_exactly_when_people_say_something_else() -> None:
    known = [prediction(box("a"))]
    said = annotation(*untouched(box("a")))
    digest = reviewed(known, said).digest
    assert (
        reviewed([], {**said, "updated_at": "2026-02-01", "lead_time": 9.0, "parent_prediction": None}).digest == digest
    )
    assert reviewed(known, said, label="crab").digest == digest
    others = (
        reviewed(known, annotation(changed(box("a", x=11)))),
        reviewed(known, annotation(*untouched(box("a")), was_cancelled=True)),
        reviewed(known, annotation(*untouched(box("a")), ground_truth=True)),
        reviewed(known, said, annotation(number=2)),
        reviewed(known, label="crab"),
        reviewed(known, label="fish"),
    )
    assert len({digest, *(each.digest for each in others)}) == 7


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "x", "y", "width", "rle", "points", "type", "result", "origin"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(list(KINDS)), JSON, JSON, JSON)
def test_malformed_tasks_never_raise(name: str, value: Any, label: Any, other: Any) -> None:
    values = {**(value if isinstance(value, dict) else {"x": value}), KINDS[name]: label}
    predicted = {"id": "a", "from_name": name, "type": KINDS[name], **SIZE, "value": values}
    final = {**predicted, "value": {**values, "x": other, "points": other, "rle": other}, "origin": other}
    wild = {"id": 1, "result": [final, value, other], "parent_prediction": other, "completed_by": value}
    said = {
        "id": 3,
        "annotations": [wild, other],
        "predictions": [{"id": label, "score": value, "result": [predicted]}],
    }
    found = review(said, CONFIG)
    assert found is not None and found.outcome in ("open", "accepted", "corrected")
