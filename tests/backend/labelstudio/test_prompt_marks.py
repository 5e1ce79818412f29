"""What is drawn to point at an object, as boxes, ellipses and clicks."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.labelstudio.brush_rle import encode_mask
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prompt_marks import CLICKS, clicks_on, marks_of
from backend.labelstudio.prompts import newest_prompt

CONFIG = LabelConfig.parse("""<View><Image name="image" value="$image"/>
<BrushLabels name="mask" toName="image" smart="true"><Label value="crab"/><Label value="background"/></BrushLabels>
<KeyPointLabels name="point" toName="image" smart="true">
  <Label value="crab"/><Label value="background" alias="bg"/><Label value="Grund" predicted_values="Background"/>
</KeyPointLabels></View>""")
STROKE = np.zeros((100, 200), np.bool_)
STROKE[40:60, 20:180] = True

Json = dict[str, Any]


def stroke(kind: str = "brushlabels", label: str | None = "crab", **value: Any) -> Json:
    names = {} if label is None else {kind: [label]}
    size = {"original_width": 200, "original_height": 100}
    value = value or {"format": "rle", "rle": encode_mask(STROKE)}
    return {"id": "s", "from_name": "mask", "to_name": "image", "type": kind, **size, "value": {**value, **names}}


def click(label: str, **more: Any) -> Json:
    value = {"x": 5, "y": 5, "width": 1, "keypointlabels": [label]}
    return {"from_name": "point", "to_name": "image", "type": "keypointlabels", "value": value, **more}


def bitmask() -> str:
    file = io.BytesIO()
    alpha = Image.fromarray(STROKE.astype(np.uint8) * 255)
    Image.merge("LA", (alpha, alpha)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    "region",
    [
        stroke(),
        stroke("bitmasklabels", imageDataURL=bitmask()),
        stroke("polygonlabels", points=[[10, 40], [90, 40], [90, 59], [10, 59]]),
    ],
    ids=["brush", "bitmask", "polygon"],
)
def test_a_stroke_of_the_brush_is_clicks_on_what_it_covers(region: Json) -> None:
    prompt = newest_prompt({"result": marks_of({"result": [region]}, [CONFIG])})
    assert prompt is not None and (prompt.box, prompt.label, prompt.outside) == (None, "crab", ())
    assert len(prompt.inside) == CLICKS
    assert all(STROKE[int(y * 100), int(x * 200)] for x, y in prompt.inside)
    assert max(x for x, _ in prompt.inside) > 0.7 and min(x for x, _ in prompt.inside) < 0.3


def test_a_stroke_on_the_background_takes_away() -> None:
    prompt = newest_prompt({"result": marks_of({"result": [click("crab"), stroke(label="background")]}, [CONFIG])})
    assert prompt is not None and prompt.inside == ((0.05, 0.05),) and len(prompt.outside) == CLICKS


def test_a_stroke_without_labels_is_called_what_another_result_of_its_id_says() -> None:
    named = {"id": "s", "type": "labels", "value": {"labels": ["crab"]}}
    prompt = newest_prompt({"result": marks_of({"result": [{**stroke(label=None), "type": "brush"}, named]}, [CONFIG])})
    assert prompt is not None and prompt.label == "crab" and len(prompt.inside) == CLICKS


@pytest.mark.parametrize("value", [{"rle": []}, {"rle": encode_mask(np.zeros((100, 200), np.bool_))}, {"rle": "x"}])
def test_a_stroke_that_covers_nothing_points_at_nothing(value: Json) -> None:
    assert marks_of({"result": [stroke(**value)]}, [CONFIG]) == []
    sizeless = {key: part for key, part in stroke().items() if not key.startswith("original")}
    assert marks_of({"result": [sizeless, {"type": "brushlabels"}]}, [CONFIG]) == [{"type": "brushlabels"}]


@pytest.mark.parametrize("label", ["background", " BackGround ", "bg", "Grund", "negative"])
def test_what_the_config_calls_background_is_beside_the_object(label: str) -> None:
    regions = marks_of({"result": [{**click("crab"), "id": "a"}, {**click(label), "id": "b"}]}, [CONFIG])
    prompt = newest_prompt({"result": regions})
    assert prompt is not None and (prompt.inside, prompt.outside) == (((0.05, 0.05),), ((0.05, 0.05),))


def test_everything_else_stays_as_it_is() -> None:
    others = [click("crab"), {"type": "rectanglelabels", "value": {"x": 1, "rectanglelabels": ["crab"]}}, {"value": 5}]
    assert marks_of({"result": [*others, "no region"]}, [CONFIG]) == others


def test_of_a_thin_stroke_its_own_pixels_are_taken() -> None:
    line = np.zeros((3000, 4000), np.bool_)
    line[1500, 1000:3000] = True
    assert all(abs(y - 0.5) < 0.01 and 0.24 < x < 0.76 for x, y in clicks_on(line)) and len(clicks_on(line)) == CLICKS
