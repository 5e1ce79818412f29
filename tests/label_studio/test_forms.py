"""Predictions for the forms of configs that people have are stored whole by a real Label Studio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from backend.errors import LabelStudioError
from backend.labelstudio.client import LabelStudioClient
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.results import to_prediction
from tests.label_studio.conftest import Place
from tests.label_studio.person import CONFIG
from wsol_core.records import Localization, Region

pytestmark = pytest.mark.slow

IMAGE = '<Image name="image" value="$image"/>'
LABELS = '<Label value="cat"/><Label value="dog"/>'
NAMES = f'<Labels name="what" toName="image">{LABELS}</Labels>'
NESTED = '<Choice value="animal"><Choice value="cat"/><Choice value="dog"/></Choice>'
BOXES = f'<RectangleLabels name="box" toName="image">{LABELS}</RectangleLabels>'
REPEATED = (
    '<Repeater on="$pages" indexFlag="{{i}}"><Image name="im{{i}}" value="$pages[{{i}}].url"/>'
    f'<RectangleLabels name="box{{{{i}}}}" toName="im{{{{i}}}}">{LABELS}</RectangleLabels></Repeater>'
)
FORMS = {
    "nested choices": f'{IMAGE}{BOXES}<Choices name="c" toName="image" allowNested="true">{NESTED}</Choices>',
    "taxonomy": f'{IMAGE}{BOXES}<Taxonomy name="c" toName="image">{NESTED}</Taxonomy>',
    "labels apart": f'{IMAGE}{NAMES}<Rectangle name="r" toName="image"/><Brush name="b" toName="image"/>',
    "bitmask and polygon apart": f'{IMAGE}{NAMES}<Bitmask name="m" toName="image"/><Polygon name="p" toName="image"/>',
    "vectors": f'{IMAGE}<VectorLabels name="v" toName="image" closable="true">{LABELS}</VectorLabels>',
    "ellipses": f'{IMAGE}<EllipseLabels name="e" toName="image">{LABELS}</EllipseLabels>',
    "per region": f'{IMAGE}<Rectangle name="r" toName="image"/>'
    f'<Taxonomy name="c" toName="image" perRegion="true">{NESTED}</Taxonomy>',
    "pages": f'<Image name="image" valueList="$list"/>{BOXES}',
    "repeater": REPEATED,
    "labels of the task": f'{IMAGE}<RectangleLabels name="box" toName="image" value="$labels"/>',
    "several images": f'{IMAGE}<Image name="other" value="$other"/>{BOXES.replace("image", "image,other")}',
    "spaces": f"{IMAGE.replace('image', 'image ', 1)}{BOXES.replace('image', 'image ')}".replace("cat", "cat "),
}
DATA = {
    "image": "http://host/a.png",
    "other": "http://host/b.png",
    "list": ["http://host/a.png", "http://host/b.png"],
    "pages": [{"url": "http://host/a.png"}, {"url": "http://host/b.png"}],
    "labels": [{"value": "cat"}, {"value": "dog"}],
}

Json = dict[str, Any]


@pytest.fixture
def client(place: Place) -> Iterator[LabelStudioClient]:
    with closing(LabelStudioClient(place.label_studio.url, place.token)) as client:
        yield client


def predicted(config: LabelConfig) -> Json:
    """A cat on each page."""
    mask = np.zeros((10, 20), np.bool_)
    mask[2:8, 4:14] = True
    region = Region("cat", (4.0, 2.0, 14.0, 8.0), 0.9, ((4, 2), (14, 2), (14, 8), (4, 8)), mask)
    found = Localization("a", (20, 10), {"cat": 0.9}, (region,))
    pages = [to_prediction(found, view, "v1", score_threshold=0.5) for view in config.views(DATA)]
    return {**pages[0], "result": [each for page in pages for each in page["result"]]}


@pytest.mark.parametrize("form", FORMS)
def test_predictions_of_a_form_are_stored_as_they_are(place: Place, client: LabelStudioClient, form: str) -> None:
    xml = f"<View>{FORMS[form]}</View>"
    prediction = predicted(LabelConfig.parse(xml))
    number = place.person.make(form, xml)
    place.person.import_tasks(number, [{"data": DATA}, {"data": DATA}])
    first, second = (task["id"] for task in place.person.tasks(number))
    kept = str(client.project(str(number))["label_config"])
    client.import_predictions(
        str(number), [{"task": first, **prediction}, {"task": second, **prediction, "result": []}], kept
    )
    stored = {each["task"]: each for each in place.person.predictions(number)}
    assert len(place.person.predictions(number)) == len(stored) == 2
    assert stored[first]["result"] == prediction["result"] and stored[second]["result"] == []
    assert (stored[first]["score"], stored[first]["model_version"]) == (prediction["score"], "v1")


def test_what_was_made_for_another_config_is_refused(place: Place, client: LabelStudioClient) -> None:
    number = place.person.make("changed", CONFIG)
    place.person.import_tasks(number, [{"data": DATA}])
    [task] = place.person.tasks(number)
    prediction = predicted(LabelConfig.parse(f"<View>{IMAGE}{BOXES}</View>"))
    with pytest.raises(LabelStudioError, match=r"stored 0 of 1 .* config may have changed"):
        client.import_predictions(str(number), [{"task": task["id"], **prediction}], "<View/>")
    assert place.person.predictions(number) == []
