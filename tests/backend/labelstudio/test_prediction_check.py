from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from backend.errors import BackendError
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prediction_check import check_prediction

CONFIG = LabelConfig.parse("""
<View>
  <Image name="image" value="$image"/>
  <Choices name="class" toName="image"><Choice value="cat"/><Choice value="dog"/></Choices>
  <RectangleLabels name="box" toName="image"><Label value="cat"/></RectangleLabels>
  <PolygonLabels name="outline" toName="image"><Label value="cat"/></PolygonLabels>
  <BrushLabels name="mask" toName="image"><Label value="cat"/></BrushLabels>
  <BitmaskLabels name="bits" toName="image"><Label value="cat"/></BitmaskLabels>
  <KeyPointLabels name="point" toName="image"><Label value="cat"/></KeyPointLabels>
</View>
""")
RLE = [0, 0, 0, 64, 57, 27, 252, 224, 22, 255, 241, 88, 0]
VALUES: dict[str, dict[str, Any]] = {
    "box": {"x": 1, "y": 2.5, "width": 99, "height": 50, "rotation": 0, "rectanglelabels": ["cat"]},
    "outline": {"points": [[0, 0], [100, 0], [50, 60.5]], "closed": True, "polygonlabels": ["cat"]},
    "mask": {"format": "rle", "rle": RLE, "brushlabels": ["cat"]},
    "bits": {"imageDataURL": "data:image/png;base64,AAAA", "bitmasklabels": ["cat"]},
    "class": {"choices": ["dog"]},
}


def region(name: str, **more: Any) -> dict[str, Any]:
    value = copy.deepcopy(VALUES[name])
    kind = next((key for key in value if key.endswith("labels")), "choices")
    size = {"original_width": 8, "original_height": 2, "image_rotation": 0}
    return {
        "id": name,
        "from_name": name,
        "to_name": "image",
        "type": kind,
        **size,
        "score": 0.5,
        "value": value,
    } | more


def prediction(*results: Any, **more: Any) -> dict[str, Any]:
    return {"result": list(results), "score": 0.5, "model_version": "boxstrap-1-0001", **more}


def test_a_right_prediction_passes() -> None:
    check_prediction(prediction(*map(region, VALUES)), CONFIG)
    check_prediction(prediction(score=0.0), CONFIG)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (prediction(model_version=3), "model_version 3 is no text"),
        (prediction(score=1.5), "score 1.5"),
        (prediction(score=math.nan), "score nan"),
        (prediction(score=True), "score True"),
        (prediction(result={}), "no list of regions"),
        (prediction("cat"), "no list of regions"),
        (prediction(region("box"), region("box")), "are not one for each"),
        (prediction(region("box", id=7)), "are not one for each"),
        (prediction(region("box", from_name="frame")), "region 0: from_name 'frame'"),
        (prediction(region("box", from_name="point")), "from_name 'point' is no control to fill"),
        (prediction(region("box", to_name="photo")), "to_name 'photo' is not 'image'"),
        (prediction(region("mask"), region("box", type="ellipselabels")), "region 1: type 'ellipselabels'"),
        (prediction(region("box", score=-0.1)), "score -0.1"),
        (prediction(region("box", score=math.inf)), "score inf"),
        (prediction(region("box", original_width=0)), "original_width 0"),
        (prediction(region("box", original_height=2.5)), "original_height 2.5"),
        (prediction(region("box", image_rotation=90)), "image_rotation 90"),
        (prediction(region("box", value=None)), "value is missing"),
    ],
)
def test_what_is_wrong_with_a_region_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(BackendError, match=message):
        check_prediction(wrong, CONFIG)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("box", {"rectanglelabels": ["dog"]}, "no labels of 'box'"),
        ("box", {"rectanglelabels": []}, "no labels of 'box'"),
        ("box", {"x": -0.1}, "not within the picture"),
        ("box", {"x": 1.001}, "not within the picture"),
        ("box", {"height": 0}, "is empty"),
        ("box", {"y": math.nan}, "not within the picture"),
        ("box", {"width": "99"}, "not within the picture"),
        ("box", {"rotation": 5}, "not within the picture"),
        ("outline", {"points": [[0, 0], [1, 1]]}, "fewer than three"),
        ("outline", {"points": [[0, 0], [1, 1], [101, 0]]}, "not within the picture"),
        ("outline", {"closed": False}, "not closed"),
        ("mask", {"rle": [*RLE[:-1], 256]}, "no list of bytes"),
        ("mask", {"rle": []}, "no list of bytes"),
        ("mask", {"rle": [0, 0, 0, 60, *RLE[4:]]}, "for a picture of this size"),
        ("mask", {"format": "png"}, "no list of bytes"),
        ("bits", {"imageDataURL": "data:image/jpeg;base64,AAAA"}, "no PNG"),
        ("class", {"choices": ["cat", "dog"]}, "more than one"),
        ("class", {"choices": ["cat", "cat"]}, "repeat themselves"),
    ],
)
def test_what_is_wrong_with_a_value_is_named(name: str, change: dict[str, Any], message: str) -> None:
    wrong = region(name)
    wrong["value"].update(change)
    with pytest.raises(BackendError, match=message):
        check_prediction(prediction(wrong), CONFIG)
