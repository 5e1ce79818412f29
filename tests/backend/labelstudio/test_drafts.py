"""Which drafts make a task with a submitted class open with boxes in place, and whose drafts stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.labelstudio.annotations import MARK
from backend.labelstudio.brush_rle import encode_mask
from backend.labelstudio.drafts import is_ours, plan_draft
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prediction_replacement import is_touched
from backend.labelstudio.region_shapes import same_value
from backend.labelstudio.reviews import review
from demo.project import label_config

CONFIG = LabelConfig.parse(label_config(("crab", "fish")))
ME, OTHER = 1, 2
SIZE = {"original_width": 100, "original_height": 100, "image_rotation": 0}
BOX = {
    "id": "0b5a1fd3-0",
    "from_name": "box",
    "to_name": "image",
    "type": "rectanglelabels",
    **SIZE,
    "score": 0.9,
    "value": {"x": 10, "y": 10, "width": 30, "height": 30, "rotation": 0, "rectanglelabels": ["crab"]},
}
TICKED = {"id": "ticked", "from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": ["crab"]}}
SAID = {**TICKED, "id": "said"}
PREDICTION = {"id": 5, "model_version": "boxstrap-7-0001", "result": [BOX, TICKED]}

Json = dict[str, Any]


def a_task(*drafts: Json, author: int = ME, result: list[Json] | None = None) -> Json:
    annotation = {"id": 3, "completed_by": author, "result": [SAID] if result is None else result}
    return {
        "id": 9,
        "annotations": [annotation],
        "predictions": [PREDICTION],
        "drafts": list(drafts),
        "draft_exists": bool(drafts),
    }


def a_draft(result: list[Json], annotation: int | None = 3) -> Json:
    return {"id": 11, "annotation": annotation, "result": result}


def planned(task: Json, prediction: Json = PREDICTION) -> list[Json]:
    plan = plan_draft(task, ME, prediction, CONFIG)
    assert plan is not None and plan.annotation == 3
    return [dict(each) for each in plan.result]


def submitted(result: list[Json]) -> list[Json]:
    """As the editor saves it: every result has an origin, and no key that it does not know."""
    return [{**{key: value for key, value in each.items() if key != MARK}, "origin": "prediction"} for each in result]


def test_the_class_stays_and_what_was_predicted_comes_to_it() -> None:
    said, box = planned(a_task())
    assert said == {**SAID, "id": "ticked", MARK: True}
    assert box == {**BOX, "origin": "prediction", MARK: True}


def test_a_draft_that_is_there_is_not_written_again_and_a_new_version_is_written_over_it() -> None:
    draft = a_draft(planned(a_task()))
    assert is_ours(draft)
    assert plan_draft(a_task(draft), ME, PREDICTION, CONFIG) is None
    newer = {**PREDICTION, "result": [{**BOX, "id": "1b5a1fd3-0"}, TICKED]}
    plan = plan_draft(a_task(draft), ME, newer, CONFIG)
    assert plan is not None and plan.over == 11
    nothing = plan_draft(a_task(draft), ME, {**PREDICTION, "result": []}, CONFIG)
    assert nothing is not None and is_ours(a_draft([dict(each) for each in nothing.result]))


@pytest.mark.parametrize(
    "draft",
    [
        a_draft([]),
        a_draft([SAID]),
        a_draft([{**SAID, MARK: True}, {**BOX, "origin": "manual"}]),
        a_draft([{**SAID, MARK: True}], annotation=None),
    ],
)
def test_a_draft_that_a_person_began_or_changed_stays(draft: Json) -> None:
    assert plan_draft(a_task(draft), ME, PREDICTION, CONFIG) is None


@pytest.mark.parametrize(
    "task",
    [a_task(author=OTHER), {**a_task(), "annotations": []}, {**a_task(), "annotations": [{"id": 1, "result": None}]}],
)
def test_only_our_users_annotations_get_drafts(task: Json) -> None:
    assert plan_draft(task, ME, PREDICTION, CONFIG) is None


def test_a_prediction_of_nothing_makes_no_draft() -> None:
    assert plan_draft(a_task(), ME, {**PREDICTION, "result": [TICKED]}, CONFIG) is None


def test_our_draft_is_no_work_of_people_and_theirs_is() -> None:
    ours = a_draft(planned(a_task()))
    assert not is_touched(a_task(ours), CONFIG)
    assert is_touched(a_task(a_draft([SAID])), CONFIG)
    assert is_touched({**a_task(), "draft_exists": True}, CONFIG)  # another person's, which we do not see


def test_a_draft_that_was_submitted_as_it_is_counts_as_accepted() -> None:
    task = a_task(result=submitted(planned(a_task())))
    row = review(task, CONFIG)
    assert row is not None and (row.outcome, row.version, row.labels) == ("accepted", "boxstrap-7-0001", ("crab",))


def test_a_draft_that_was_submitted_without_its_boxes_counts_as_corrected_and_gets_none_again() -> None:
    task = a_task(result=submitted(planned(a_task()))[:1])
    row = review(task, CONFIG)
    assert row is not None and row.outcome == "corrected"
    assert [each.fate for each in row.objects] == ["deleted"]
    assert is_touched(task, CONFIG)


def test_a_mask_that_the_editor_coded_anew_is_the_same_mask() -> None:
    mask = np.zeros((100, 100), np.bool_)
    mask[20:40, 30:60] = True
    code = encode_mask(mask)
    brush = {"id": "0b5a1fd3-1", "from_name": "mask", "to_name": "image", "type": "brushlabels", **SIZE}
    predicted = {**brush, "value": {"format": "rle", "rle": [*code, 0], "brushlabels": ["crab"]}}
    final = {**brush, "value": {"format": "rle", "rle": code, "brushlabels": ["crab"]}}
    assert same_value(predicted, final)
    mask[20, 30] = False
    assert not same_value(predicted, {**final, "value": {**final["value"], "rle": encode_mask(mask)}})
