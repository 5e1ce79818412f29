"""Forms of labeling configs, predicted by the job with a real model and pictures from a server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.jobs.context import job_context, warn_once
from backend.jobs.predict import drawn_so_far, predict
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prediction_check import check_prediction
from backend.queueing.messages import PredictionRequest
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.stores import Stores
from backend.storage.version_facts import VersionFacts
from tests.backend.support.fake_project import PROJECT, FakeLabelStudio

IMAGE = '<Image name="image" value="$image"/>'
LABELS = '<Label value="ladybird"/><Label value="fish"/>'
NESTED = '<Choice value="animal"><Choice value="ladybird"/><Choice value="fish"/></Choice>'
BOXES = f'<RectangleLabels name="box" toName="image">{LABELS}</RectangleLabels>'
REPEATED = (
    '<Repeater on="$pages" indexFlag="{{i}}"><Image name="page{{i}}" value="$pages[{{i}}].page"/>'
    f'<RectangleLabels name="box{{{{i}}}}" toName="page{{{{i}}}}">{LABELS}</RectangleLabels></Repeater>'
)

Json = dict[str, Any]
Predict = Callable[..., list[Json]]


@pytest.fixture
def predicted(
    settings: Settings, stores: Stores, model: Path, label_studio: FakeLabelStudio, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Predict]:
    """What the job writes for a fish in a config, checked."""
    version = stores.models.publish(PROJECT, model, VersionFacts(run="a"))
    monkeypatch.setenv("MODEL_SCORE_THRESHOLD", "0")
    job_context.cache_clear()
    warn_once.cache_clear()

    def results(*tags: str, **data: Any) -> list[Json]:
        xml = f"<View>{''.join(tags)}</View>"
        picture = next(iter(label_studio.files))
        task = {"id": 1, "data": {"image": picture, "label": "fish", **data}}
        [found] = predict(PredictionRequest(PROJECT, version, xml, [task]).to_dict())
        if not data:
            check_prediction(found, LabelConfig.parse(xml))
        return list(found["result"])

    yield results
    job_context().label_studio().close()
    job_context.cache_clear()


def written(results: list[Json]) -> list[tuple[str, Any, Any]]:
    """Each result once: its tag, its page, and its label."""
    found = [
        (each["from_name"], each.get("item_index"), each["value"].get(each["type"], each["value"].get("labels")))
        for each in results
    ]
    return [each for number, each in enumerate(found) if each not in found[:number]]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (
            (f'<Labels name="what" toName="image">{LABELS}</Labels>', '<Rectangle name="where" toName="image"/>'),
            [("where", None, None), ("what", None, ["fish"])],
        ),
        (
            (BOXES, f'<Choices name="c" toName="image" allowNested="true">{NESTED}</Choices>'),
            [("box", None, ["fish"]), ("c", None, [["animal", "fish"]])],
        ),
        (
            (BOXES, f'<Taxonomy name="kind" toName="image">{NESTED}</Taxonomy>'),
            [("box", None, ["fish"]), ("kind", None, [["animal", "fish"]])],
        ),
    ],
)
def test_what_stands_apart_or_in_a_tree_is_filled(predicted: Predict, tags: tuple[str, ...], expected: Any) -> None:
    results = predicted(IMAGE, *tags)
    assert written(results) == expected
    shapes = [each["id"] for each in results if each["type"] == "rectangle"]
    assert shapes == [each["id"] for each in results if each["type"] == "labels"]


def test_each_page_is_predicted(predicted: Predict, label_studio: FakeLabelStudio) -> None:
    first, second = list(label_studio.files)[:2]
    listed = '<Image name="image" valueList="$pages"/>'
    assert written(predicted(listed, BOXES, pages=[first, second])) == [("box", 0, ["fish"]), ("box", 1, ["fish"])]
    repeated = predicted(REPEATED, pages=[{"page": first}, {"page": second}])
    assert written(repeated) == [("box0", None, ["fish"]), ("box1", None, ["fish"])]
    assert {each["to_name"] for each in repeated} == {"page0", "page1"}


def test_labels_that_come_with_the_task_are_filled(predicted: Predict) -> None:
    dynamic = '<RectangleLabels name="box" toName="image" value="$labels"/>'
    labels = [{"value": "ladybird"}, {"value": "fish"}]
    assert written(predicted(IMAGE, dynamic, labels=labels)) == [("box", None, ["fish"])]


def test_classes_that_the_config_calls_otherwise_now_are_named(
    predicted: Predict, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    renamed = BOXES.replace("fish", "Fisch").replace("ladybird", "Käfer")
    with caplog.at_level(logging.WARNING):
        assert predicted(IMAGE, renamed) == []
    assert "knows 'fish', 'ladybird', which the labeling config has no label for" in caplog.text
    assert "predicted_values" in caplog.text and f"boxstrap classes {PROJECT} --rename" in caplog.text
    stores.policies.change(PROJECT, renames={"fish": "Fisch"})
    assert written(predicted(IMAGE, renamed)) == [("box", None, ["Fisch"])]


def test_what_two_people_draw_in_one_task_at_once_is_kept_apart(queue: JobQueue) -> None:
    config = LabelConfig.parse(f"<View>{IMAGE}{BOXES}</View>")

    def drawn_by(person: str, **region: Any) -> list[Any]:
        """What is known to be drawn, by number, once a person has drawn this as well."""
        task = {"id": 1, "data": {"image": "a.png"}, "drafts": [{"user": person}] if person else []}
        regions = drawn_so_far(queue.prompts, PROJECT, task, config, {"result": [{"to_name": "image", **region}]})
        return [each["id"] for each in regions]

    sides = {"y": 10, "width": 30, "height": 30, "rectanglelabels": ["fish"]}
    beside = {"type": "keypointlabels", "is_positive": False, "value": {"x": 5, "y": 5, "keypointlabels": ["fish"]}}
    assert drawn_by("ann", id="a1", type="rectanglelabels", value={"x": 10, **sides}) == ["a1"]
    assert drawn_by("bob", id="b1", type="rectanglelabels", value={"x": 60, **sides}) == ["b1"]
    assert drawn_by("ann", id="a2", **beside) == ["a1", "a2"]
    assert drawn_by("bob", id="b2", **beside) == ["b1", "b2"]
    # Before the editor has kept a draft nobody knows who draws; what was drawn then is found once it is known.
    assert drawn_by("", id="c1", type="rectanglelabels", value={"x": 40, **sides}) == ["c1"]
    assert drawn_by("cid", id="c2", **beside) == ["c1", "c2"]
