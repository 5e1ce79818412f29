from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from label_studio_sdk.label_interface import LabelInterface
from PIL import Image

from backend.labelstudio.brush_rle import decode_mask
from backend.labelstudio.empty_prediction import empty_prediction
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.mask_budget import MASK_BUDGET_BYTES
from backend.labelstudio.prediction_check import check_prediction
from backend.labelstudio.results import shown_of, to_prediction
from wsol_core.localization.worth import BOX_COSTS
from wsol_core.records import BoolMask, Localization, Region

ALL = """
<View>
  <Image name="image" value="$image"/>
  <Choices name="class" toName="image" choice="multiple"><Choice value="cat"/><Choice value="dog"/></Choices>
  <RectangleLabels name="box" toName="image"><Label value="cat"/><Label value="dog"/></RectangleLabels>
  <PolygonLabels name="outline" toName="image"><Label value="cat"/><Label value="dog"/></PolygonLabels>
  <BrushLabels name="mask" toName="image"><Label value="cat"/><Label value="dog"/></BrushLabels>
  <BitmaskLabels name="bits" toName="image"><Label value="cat"/><Label value="dog"/></BitmaskLabels>
  <KeyPointLabels name="point" toName="image" smart="true"><Label value="cat"/></KeyPointLabels>
</View>
"""


def box(attributes: str = "") -> str:
    return (
        f'<RectangleLabels name="box" toName="image" {attributes}>'
        '<Label value="cat"/><Label value="dog"/></RectangleLabels>'
    )


def choices(attributes: str = "") -> str:
    return f'<Choices name="class" toName="image" {attributes}><Choice value="cat"/><Choice value="dog"/></Choices>'


def config_of(*controls: str) -> LabelConfig:
    return LabelConfig.parse(f'<View><Image name="image" value="$image"/>{"".join(controls)}</View>')


def region(label: str = "cat", score: float = 0.8, **more: Any) -> Region:
    """Of a picture of 20 x 10 pixels; a box of 4 x 4 at (2, 1) unless said otherwise."""
    box_xyxy = more.get("box_xyxy", (2.0, 1.0, 6.0, 5.0))
    mask = np.zeros((10, 20), np.bool_)
    mask[1:5, 2:6] = True
    return Region(label, box_xyxy, score, more.get("polygon", ((2, 1), (6, 1), (6, 5))), more.get("mask", mask))


def localization(*regions: Region, **scores: float) -> Localization:
    return Localization("a.png", (20, 10), scores, regions)


def predict(found: Localization, config: LabelConfig, **more: Any) -> dict[str, Any]:
    prediction = to_prediction(found, config, "v1", **{"score_threshold": 0.5} | more)
    check_prediction(prediction, config)
    return prediction


def names_of(prediction: dict[str, Any]) -> list[str]:
    return [result["from_name"] for result in prediction["result"]]


def choices_of(prediction: dict[str, Any]) -> list[list[str]]:
    return [result["value"]["choices"] for result in prediction["result"] if result["type"] == "choices"]


def test_nothing_found_is_a_prediction_too() -> None:
    assert empty_prediction("v1") == {"result": [], "score": 0.0, "model_version": "v1"}
    assert predict(localization(), LabelConfig.parse(ALL)) == empty_prediction("v1")


def test_a_box_is_in_percent_of_the_picture() -> None:
    prediction = predict(localization(region()), config_of(box()))
    (result,) = prediction["result"]
    identity = result.pop("id")
    assert len(identity) == 10
    assert result == {
        "from_name": "box",
        "to_name": "image",
        "type": "rectanglelabels",
        "original_width": 20,
        "original_height": 10,
        "image_rotation": 0,
        "score": 0.8,
        "value": {"x": 10.0, "y": 10.0, "width": 20.0, "height": 40.0, "rotation": 0, "rectanglelabels": ["cat"]},
    }
    assert (prediction["score"], prediction["model_version"]) == (0.8, "v1")


def test_a_box_beyond_the_picture_is_cut() -> None:
    prediction = predict(localization(region(box_xyxy=(-3, 5, 25, 12))), config_of(box()))
    value = prediction["result"][0]["value"]
    assert [value[key] for key in ("x", "y", "width", "height")] == [0, 50, 100, 50]


@pytest.mark.parametrize("box_xyxy", [(30, 1, 40, 5), (2, 1, 2, 5), (2, 1, float("nan"), 5), (2, 1, float("inf"), 5)])
def test_a_box_of_which_nothing_is_left_is_not_shown(box_xyxy: tuple[float, ...]) -> None:
    assert names_of(predict(localization(region(box_xyxy=box_xyxy)), config_of(box()))) == []


def test_every_control_shows_the_region_in_its_own_way() -> None:
    prediction = predict(localization(region()), LabelConfig.parse(ALL))
    assert names_of(prediction) == ["box", "outline", "mask", "bits", "class"]
    assert len({result["id"] for result in prediction["result"]}) == 5
    values = {result["from_name"]: result["value"] for result in prediction["result"]}
    assert values["outline"] == {"points": [[10, 10], [30, 10], [30, 50]], "closed": True, "polygonlabels": ["cat"]}
    np.testing.assert_array_equal(decode_mask(values["mask"]["rle"], (20, 10)), region().mask)
    assert values["mask"]["format"] == "rle"


def test_a_bitmask_is_a_png_of_black_pixels_on_transparent_ones() -> None:
    prediction = predict(
        localization(region()),
        config_of('<BitmaskLabels name="bits" toName="image"><Label value="cat"/></BitmaskLabels>'),
    )
    value = prediction["result"][0]["value"]
    assert sorted(value) == ["bitmasklabels", "imageDataURL"]
    picture = Image.open(io.BytesIO(base64.b64decode(value["imageDataURL"].removeprefix("data:image/png;base64,"))))
    pixels = np.asarray(picture.convert("RGBA"))
    assert pixels.shape == (10, 20, 4)
    np.testing.assert_array_equal(pixels[..., 3], np.where(region().mask, 255, 0))
    assert not pixels[..., :3].any()


@pytest.mark.parametrize("polygon", [(), ((2, 1), (6, 1)), ((2, 1), (2, 1), (6, 1)), ((30, 1), (30, 5), (40, 5))])
def test_an_outline_of_too_few_points_becomes_the_box(polygon: tuple[tuple[float, float], ...]) -> None:
    config = config_of('<PolygonLabels name="outline" toName="image"><Label value="cat"/></PolygonLabels>')
    prediction = predict(localization(region(polygon=polygon)), config)
    assert prediction["result"][0]["value"]["points"] == [[10, 10], [30, 10], [30, 50], [10, 50]]


def test_an_empty_mask_is_not_shown_but_its_box_is() -> None:
    prediction = predict(localization(region(mask=np.zeros((10, 20), np.bool_))), LabelConfig.parse(ALL))
    assert names_of(prediction) == ["box", "outline", "class"]


def test_regions_below_the_threshold_or_of_unknown_classes_are_left_out() -> None:
    found = localization(region(score=0.49), region("bird", 0.9), region("dog", 0.5))
    prediction = predict(found, config_of(box()))
    assert [result["value"]["rectanglelabels"] for result in prediction["result"]] == [["dog"]]
    assert prediction["score"] == 0.5


BRUSH = '<BrushLabels name="mask" toName="image"><Label value="cat"/><Label value="dog"/></BrushLabels>'


def test_without_a_threshold_what_costs_more_than_it_saves_is_left_out_in_all_controls() -> None:
    likely = replace(region(score=0.6), keep=0.9)
    doubtful = replace(region("dog", 0.1), keep=0.6)  # a mask that has to be mended saves time, a box does not
    found = localization(likely, doubtful)
    assert names_of(predict(found, config_of(box(), BRUSH), score_threshold=None)) == ["box", "mask"]
    assert names_of(predict(found, config_of(BRUSH), score_threshold=None)) == ["mask", "mask"]
    assert names_of(predict(found, config_of(box(), BRUSH), score_threshold=0.0)) == ["box", "box", "mask", "mask"]


def test_what_is_shown_follows_a_threshold_or_else_the_rule_and_counts_the_rest() -> None:
    found = localization(replace(region(score=0.6), keep=0.9), replace(region("dog", 0.1), keep=0.6))
    ruled = shown_of(found, None, BOX_COSTS)
    assert ([each.label for each in ruled.regions], ruled.left_out) == (["cat"], 1)
    assert [each.label for each in shown_of(found, 0.1, BOX_COSTS).regions] == ["cat", "dog"]


def test_a_controls_own_threshold_comes_before_the_general_one() -> None:
    found = localization(region(score=0.3))
    assert names_of(predict(found, config_of(box('model_score_threshold="0.2"')))) == ["box"]
    assert names_of(predict(found, config_of(box('model_score_threshold="0.0"')), score_threshold=1)) == ["box"]
    assert names_of(predict(found, config_of(box('model_score_threshold="0.4"')), score_threshold=0)) == []


def test_a_skipped_control_stays_empty() -> None:
    config = config_of(box('model_skip="true"'), choices())
    assert names_of(predict(localization(region()), config)) == ["class"]


def test_a_control_takes_no_more_regions_than_it_says_the_surest_ones() -> None:
    found = localization(region(score=0.6), region("dog", 0.9), region(score=0.7))
    prediction = predict(found, config_of(box('model_max_regions="2"')))
    assert [result["score"] for result in prediction["result"]] == [0.9, 0.7]
    assert prediction["score"] == 0.8


def test_a_control_takes_no_regions_smaller_than_it_says() -> None:
    # 16 of 200 pixels
    assert names_of(predict(localization(region()), config_of(box('model_min_area="0.08"')))) == ["box"]
    assert names_of(predict(localization(region()), config_of(box('model_min_area="0.09"')))) == []


def test_a_region_that_two_controls_show_counts_once_in_the_score() -> None:
    config = config_of(box(), '<BrushLabels name="mask" toName="image"><Label value="cat"/></BrushLabels>')
    prediction = predict(localization(region(score=0.6), region("dog", 0.9)), config)
    assert len(prediction["result"]) == 3
    assert prediction["score"] == 0.75


def test_labels_are_written_as_the_config_does() -> None:
    config = config_of(
        '<RectangleLabels name="box" toName="image"><Label value="Katze" predicted_values="cat"/></RectangleLabels>'
    )
    assert predict(localization(region()), config)["result"][0]["value"]["rectanglelabels"] == ["Katze"]


def test_the_classes_of_the_regions_found_are_ticked() -> None:
    found = localization(region(score=0.6), region("dog", 0.7), region("dog", 0.9), cat=0.8, dog=0.6)
    prediction = predict(found, config_of(choices('choice="multiple"')))
    assert choices_of(prediction) == [["cat", "dog"]]
    assert prediction["result"][0]["score"] == 0.7
    assert prediction["score"] == 0.8


def test_one_class_is_ticked_where_only_one_can_be() -> None:
    found = localization(region(score=0.6), region("dog", 0.9), cat=0.7, dog=0.3)
    assert choices_of(predict(found, config_of(choices()))) == [["cat"]]


def test_without_regions_the_most_probable_class_is_ticked() -> None:
    prediction = predict(localization(cat=0.2, dog=0.75), config_of(choices(), box()))
    assert choices_of(prediction) == [["dog"]]
    assert prediction["score"] == prediction["result"][0]["score"] == 0.75


def test_nothing_is_ticked_below_the_threshold_or_for_unknown_classes() -> None:
    assert choices_of(predict(localization(cat=0.4, dog=0.3), config_of(choices()))) == []
    assert choices_of(predict(localization(bird=0.9, dog=0.8), config_of(choices()))) == []
    assert choices_of(predict(localization(region("bird", 0.9), bird=0.9), config_of(choices()))) == []


def test_classes_chosen_by_a_person_are_ticked_whatever_their_scores() -> None:
    found = localization(region("dog", 0.9), cat=0.1, dog=0.8)
    prediction = predict(found, config_of(choices()), chosen=["cat"])
    assert choices_of(prediction) == [["cat"]]
    assert prediction["result"][0]["score"] == prediction["score"] == 0.1
    assert choices_of(predict(localization(), config_of(choices()), chosen=["bird"])) == []
    assert predict(localization(), config_of(choices()), chosen=["cat"])["score"] == 1


def noisy_chequerboard() -> BoolMask:
    y, x = np.mgrid[:480, :640]
    return np.asarray(((x // 8 + y // 8) % 2 == 0) ^ (np.random.default_rng(1).random((480, 640)) < 0.3))


@pytest.mark.slow
@pytest.mark.parametrize(("tag", "name"), [("BrushLabels", "rle"), ("BitmaskLabels", "imageDataURL")])
def test_a_mask_too_long_for_the_editor_is_made_plainer(tag: str, name: str) -> None:
    config = config_of(f'<{tag} name="mask" toName="image"><Label value="cat"/></{tag}>')
    big = np.kron(noisy_chequerboard(), np.ones((4, 4), np.bool_)) ^ (
        np.random.default_rng(2).random((1920, 2560)) < 0.3
    )
    found = Localization("a.png", (2560, 1920), {}, (Region("cat", (0, 0, 2560, 1920), 0.9, (), big),))
    value = predict(found, config)["result"][0]["value"]
    assert 1000 < len(json.dumps(value[name])) <= MASK_BUDGET_BYTES


numbers = st.floats(-50, 50) | st.floats() | st.sampled_from([0.0, 1 / 3, 7.0, 11.0])
labels = st.sampled_from(["cat", "DOG", "bird"])


@st.composite
def localizations(draw: st.DrawFn) -> Localization:
    width, height = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    regions = st.builds(
        Region,
        label=labels,
        box_xyxy=st.tuples(numbers, numbers, numbers, numbers),
        score=numbers,
        polygon=st.lists(st.tuples(numbers, numbers), max_size=5).map(tuple),
        mask=arrays.arrays(np.bool_, (height, width)),
    )
    scores = draw(st.dictionaries(labels, st.floats()))
    return Localization("a.png", (width, height), scores, tuple(draw(st.lists(regions, max_size=4))))


@pytest.fixture(scope="module")
def label_studio() -> LabelInterface:
    return LabelInterface(ALL)


@settings(deadline=None)
@given(found=localizations(), threshold=st.floats(0, 1), chosen=st.lists(labels, max_size=2))
def test_every_prediction_is_fit_for_label_studio(
    label_studio: LabelInterface, found: Localization, threshold: float, chosen: list[str]
) -> None:
    prediction = predict(found, LabelConfig.parse(ALL), score_threshold=threshold, chosen=chosen)
    assert label_studio.validate_prediction(prediction, return_errors=True) == []
    assert json.loads(json.dumps(prediction, allow_nan=False)) == prediction
