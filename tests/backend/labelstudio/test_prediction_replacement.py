from __future__ import annotations

from typing import Any

import pytest

from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prediction_replacement import ReplacementPlan, cluster_of, is_touched, plan_replacement

CONFIG = LabelConfig.parse("""
<View>
  <Image name="image" value="$image"/><Header value="$label"/>
  <Choices name="class" toName="image"><Choice value="cat"/><Choice value="dog"/></Choices>
  <RectangleLabels name="box" toName="image"><Label value="cat"/><Label value="dog"/></RectangleLabels>
</View>
""")
NEW, OLD, OLDER = "boxstrap-7-0003", "boxstrap-7-0002", "boxstrap-7-untrained"

Json = dict[str, Any]


def box(label: str, score: float = 0.5) -> Json:
    value = {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": [label]}
    return {"from_name": "box", "to_name": "image", "type": "rectanglelabels", "score": score, "value": value}


def prediction(number: int, version: str, *result: Json) -> Json:
    return {"id": number, "model_version": version, "result": list(result)}


def choice(label: str = "cat", parent: int | None = None) -> Json:
    result = {"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [label]}}
    return {"id": 1, "was_cancelled": False, "result": [result], "parent_prediction": parent}


def task(*predictions: Json, annotations: tuple[Json, ...] = ()) -> Json:
    listed = {"predictions": list(predictions), "annotations": list(annotations)}
    return {"id": 5, "data": {"image": "a.png"}, **listed}


def needed(*predictions: Json, annotations: tuple[Json, ...] = ()) -> ReplacementPlan | None:
    return plan_replacement(task(*predictions, annotations=annotations), "7", NEW, CONFIG)


def test_a_task_without_predictions_of_ours_gets_one() -> None:
    assert needed() == needed(prediction(1, "yolo")) == ReplacementPlan(None, None, ())


def test_the_newest_old_one_is_written_over_and_the_others_go() -> None:
    assert needed(prediction(4, OLD), prediction(2, OLDER), prediction(9, "yolo")) == ReplacementPlan(None, 4, (2,))


def test_where_the_version_is_there_only_the_others_go() -> None:
    current = prediction(3, NEW)
    assert needed(current, prediction(2, OLD), prediction(4, NEW)) == ReplacementPlan(current, None, (2, 4))
    done = needed(current, prediction(1, "yolo"))
    assert done is not None and done.done


def test_the_versions_own_is_written_over_where_it_is_made_anew() -> None:
    predicted = task(prediction(3, NEW), prediction(2, OLD))
    assert plan_replacement(predicted, "7", NEW, CONFIG, anew=True) == ReplacementPlan(None, 3, (2,))


def test_one_version_is_not_taken_for_that_of_a_project_with_a_longer_number() -> None:
    assert needed(prediction(1, "boxstrap-77-0001")) == ReplacementPlan(None, None, ())


def test_one_that_an_annotation_names_keeps_its_content_until_there_is_another() -> None:
    assert needed(prediction(1, OLDER), annotations=(choice(parent=1),)) == ReplacementPlan(None, None, (1,))


@pytest.mark.parametrize(
    "more",
    [
        {"annotations": [{"id": 1, "result": [box("cat")]}]},
        {"annotations": [{"id": 1, "result": [], "was_cancelled": True}]},
        {"annotations": [choice(parent=1)]},  # all its boxes were deleted
        {"draft_exists": True},
        {"drafts": [{"id": 1}]},
    ],
    ids=["drawn", "skipped", "boxes deleted", "somebody's draft", "own draft"],
)
def test_what_people_have_worked_on_stays(more: Json) -> None:
    predicted = task(prediction(1, OLD, box("cat"))) | more
    assert is_touched(predicted, CONFIG) and plan_replacement(predicted, "7", NEW, CONFIG) is None


def test_a_chosen_class_alone_leaves_a_task_open() -> None:
    assert not is_touched(task(annotations=(choice(),)), CONFIG)


def test_pictures_of_a_class_share_a_cluster_whoever_named_it() -> None:
    by_people = cluster_of(task(annotations=(choice("cat"),)), prediction(1, NEW, box("dog")), CONFIG)
    in_data = cluster_of(task() | {"data": {"label": "cat"}}, prediction(1, NEW), CONFIG)
    by_model = cluster_of(task(), prediction(1, NEW, box("dog", 0.2), box("cat", 0.4)), CONFIG)
    other = cluster_of(task(), prediction(1, NEW, box("dog")), CONFIG)
    assert by_people == in_data == by_model != other
    assert by_people is not None and 0 <= by_people < 2**31  # what Label Studio's column takes


def test_a_picture_of_which_nothing_is_known_is_in_no_cluster() -> None:
    assert cluster_of(task(), prediction(1, NEW), CONFIG) is None
