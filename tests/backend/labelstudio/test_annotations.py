"""Which annotation counts, for classes and for regions alike."""

from __future__ import annotations

from typing import Any

import pytest

from backend.labelstudio.corrections import drawn_regions
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.reviews import match_annotation, review, shows_nothing
from backend.labelstudio.task_labels import given_labels
from backend.storage.ledger_rows import Outcome

CONFIG = LabelConfig.parse(
    '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image">'
    '<Label value="cat"/><Label value="dog"/></RectangleLabels></View>'
)

Json = dict[str, Any]


def box(label: str, **more: Any) -> Json:
    value = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": [label]}
    return {"id": "r", "from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": value, **more}


def by(person: object, number: int, *labels: str, **more: Any) -> Json:
    regions = [box(label, id=f"{number}-{label}") for label in labels]
    return {"id": number, "completed_by": person, "result": regions, **more}


def task(*annotations: Json, predictions: tuple[Json, ...] = (), **data: str) -> Json:
    return {"id": 3, "data": data, "annotations": list(annotations), "predictions": list(predictions)}


@pytest.mark.parametrize(
    ("annotations", "number"),
    [
        ((by(1, 1, "cat"), by(1, 2, "dog")), 2),  # the newest
        ((by(1, 1, "cat", ground_truth=True), by(1, 2, "dog")), 1),
        ((by(1, 1, "cat"), by(2, 2, "cat"), by(3, 3, "dog")), 2),  # most people
        ((by({"id": 1}, 1, "cat"), by({"id": 2}, 2, "cat"), by({"id": 3}, 3, "dog")), 2),
        ((by(1, 1, "cat"), by(2, 2, "cat"), by(3, 3, "dog", ground_truth=True)), 3),
        ((by(1, 1, "cat"), by(1, 2, "cat"), by(1, 3, "cat"), by(2, 4, "dog")), 4),  # one person counts once
        ((by(1, 1, "cat"), by(2, 2, "dog")), 2),  # of two the newest
        ((by(1, 1, "cat"), by(1, 2, "dog", was_cancelled=True)), 1),
    ],
)
def test_one_annotation_counts_for_classes_and_regions(annotations: tuple[Json, ...], number: int) -> None:
    label = next(each for each in annotations if each["id"] == number)["result"][0]["value"]["rectanglelabels"][0]
    found = match_annotation(task(*annotations), CONFIG)
    assert found is not None and found.annotation["id"] == number
    assert given_labels(task(*annotations), CONFIG) == (label,)
    assert [each.label for each in drawn_regions(task(*annotations), CONFIG)] == [label]


PREDICTION = {"id": 9, "model_version": "boxstrap-1-0001", "result": [box("cat")]}


def test_a_prediction_that_was_deleted_and_submitted_says_that_nothing_is_there() -> None:
    emptied = task(by(1, 1, parent_prediction=9), predictions=(PREDICTION,), label="cat")
    row = review(emptied, CONFIG)
    assert shows_nothing(emptied, CONFIG)
    assert row is not None and (row.outcome, row.labels) == (Outcome.CORRECTED, ())


def test_an_empty_prediction_that_was_submitted_says_so_too_once_there_is_a_model() -> None:
    empty, untrained = (
        {"id": 9, "model_version": f"boxstrap-1-{name}", "result": []} for name in ("0001", "untrained")
    )
    agreed = task(by(1, 1, parent_prediction=9), predictions=(empty,))
    row = review(agreed, CONFIG)
    assert shows_nothing(agreed, CONFIG) and row is not None and row.outcome == Outcome.ACCEPTED
    assert not shows_nothing(task(by(1, 1, parent_prediction=9), predictions=(untrained,)), CONFIG)


@pytest.mark.parametrize(
    "annotations",
    [
        (by(1, 1),),  # began from nothing
        (by(1, 1, "dog", parent_prediction=9),),
        (by(1, 1, parent_prediction=9, was_cancelled=True),),
        (by(1, 1, parent_prediction=9), by(1, 2, "cat")),
        (),
    ],
)
def test_everything_else_does_not_say_that_nothing_is_there(annotations: tuple[Json, ...]) -> None:
    assert not shows_nothing(task(*annotations, predictions=(PREDICTION,)), CONFIG)
