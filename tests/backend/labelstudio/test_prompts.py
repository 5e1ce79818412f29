"""Which object a person means, of all the boxes and clicks that Label Studio sends."""

from __future__ import annotations

from typing import Any

import pytest

from backend.labelstudio.prompts import MOST_MARKS, DrawnBox, Prompt, newest_prompt, with_earlier

Json = dict[str, Any]


def click(x: float, y: float, label: str = "crab", **more: Any) -> Json:
    value = {"x": x, "y": y, "width": 1, "keypointlabels": [label]}
    return {"type": "keypointlabels", "to_name": "image", "value": value, **more}


def box(x: float, y: float, w: float, h: float, rotation: float = 0, **more: Any) -> Json:
    value = {"x": x, "y": y, "width": w, "height": h, "rotation": rotation, "rectanglelabels": ["crab"]}
    return {"type": "rectanglelabels", "to_name": "image", "value": value, **more}


BESIDE = {"is_positive": False}  # as the editor says of a click with Alt held down
DRAWN = DrawnBox((0.1, 0.1, 0.4, 0.4))


@pytest.mark.parametrize(
    ("regions", "prompt"),
    [
        ([], None),
        ([click(20, 30)], Prompt(None, ((0.2, 0.3),), (), "crab")),
        ([click(20, 30), click(40, 50)], Prompt(None, ((0.2, 0.3), (0.4, 0.5)), (), "crab")),
        ([click(20, 30), click(70, 50, **BESIDE)], Prompt(None, ((0.2, 0.3),), ((0.7, 0.5),), "crab")),
        ([click(70, 50, **BESIDE), click(20, 30)], Prompt(None, ((0.2, 0.3),), ((0.7, 0.5),), "crab")),
        ([click(20, 30), click(70, 50, "Background")], Prompt(None, ((0.2, 0.3),), ((0.7, 0.5),), "crab")),
        ([click(70, 50, **BESIDE)], None),
        ([click(70, 50, "background")], None),
        ([click(60, 60, "fish"), click(20, 30)], Prompt(None, ((0.2, 0.3),), (), "crab")),
        ([box(10, 10, 40, 40)], Prompt(DRAWN, (), (), "crab")),
        ([box(50, 50, 9, 9), box(10, 10, 40, 40)], Prompt(DRAWN, (), (), "crab")),
        ([box(10, 10, 40, 40), click(20, 30)], Prompt(DRAWN, ((0.2, 0.3),), (), "crab")),
        ([click(20, 30), box(10, 10, 40, 40)], Prompt(DRAWN, ((0.2, 0.3),), (), "crab")),
        ([box(10, 10, 40, 40), click(45, 30, **BESIDE)], Prompt(DRAWN, (), ((0.45, 0.3),), "crab")),
        ([box(10, 10, 40, 40), click(60, 30, **BESIDE)], Prompt(DRAWN, (), ((0.6, 0.3),), "crab")),
        ([box(10, 10, 40, 40), click(80, 80)], Prompt(None, ((0.8, 0.8),), (), "crab")),
        ([box(10, 10, 40, 0), {"type": "brushlabels", "value": {}}, {}, "no region"], None),
        ([click(20, 30, item_index=1), click(40, 50, item_index=0)], Prompt(None, ((0.4, 0.5),), (), "crab")),
    ],
)
def test_the_newest_box_or_click_says_which_object_is_meant(regions: list[Json], prompt: Prompt | None) -> None:
    assert newest_prompt({"result": regions}) == prompt


@pytest.mark.parametrize(
    ("tag", "value"), [("labels", ["crab"]), ("choices", ["crab"]), ("taxonomy", [["animal", "crab"]])]
)
def test_what_is_drawn_without_labels_is_called_what_another_result_of_its_id_says(tag: str, value: Json) -> None:
    point = {"x": 20, "y": 30, "width": 1}
    regions = [
        {"id": "a", "type": "keypoint", "to_name": "image", "value": point},
        {"id": "a", "type": tag, "to_name": "image", "value": {**point, tag: value}},
        {"id": "b", "type": "keypoint", "to_name": "image", "value": {**point, "x": 70}},
        {"id": "b", "type": "labels", "to_name": "image", "value": {**point, "labels": ["background"]}},
    ]
    assert newest_prompt({"result": regions}) == Prompt(None, ((0.2, 0.3),), ((0.7, 0.3),), "crab")


def test_numbers_that_no_float_holds_mean_nothing() -> None:
    assert newest_prompt({"result": [box(10, 10, 40, 10**400), click(20, 10**400)]}) is not None
    assert newest_prompt({"result": [box(10, 10, 40, 10**400)]}) is None


def test_of_thousands_of_clicks_the_newest_count() -> None:
    prompt = newest_prompt({"result": [click(number / 100, 50) for number in range(5000)]})
    assert prompt is not None and len(prompt.inside) == MOST_MARKS and prompt.inside[-1] == pytest.approx((0.4999, 0.5))


def test_a_turned_box_has_corners_in_pixels() -> None:
    found = newest_prompt({"result": [box(50, 10, 20, 10, rotation=90)]})
    assert found is not None and found.box is not None and not found.box.is_upright_rectangle
    corners = found.box.outline((400, 200))
    expected = ((200, 20), (200, 100), (180, 100), (180, 20))  # to the left of its corner, in pixels of the picture
    assert [value for corner in corners for value in corner] == pytest.approx([v for c in expected for v in c])


def test_an_ellipse_has_an_outline_inside_of_its_box() -> None:
    value = {"x": 50, "y": 50, "radiusX": 20, "radiusY": 10, "rotation": 0, "ellipselabels": ["crab"]}
    found = newest_prompt({"result": [{"type": "ellipselabels", "to_name": "image", "value": value}]})
    assert found is not None and found.box is not None
    xs, ys = zip(*found.box.outline((100, 100)), strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == pytest.approx((30, 70, 40, 60))


def named(number: int, region: Json) -> Json:
    return {**region, "id": str(number)}


BOX, ON, OFF = named(1, box(10, 10, 40, 40)), named(2, click(20, 30)), named(3, click(45, 30, **BESIDE))


@pytest.mark.parametrize(
    ("requests", "prompt"),
    [
        # The editor sends one tag and label at a time: a click beside what is in a box comes without the box.
        ([[BOX], [OFF]], Prompt(DRAWN, (), ((0.45, 0.3),), "crab")),
        ([[BOX], [OFF], [OFF, ON]], Prompt(DRAWN, ((0.2, 0.3),), ((0.45, 0.3),), "crab")),
        ([[BOX], [ON]], Prompt(DRAWN, ((0.2, 0.3),), (), "crab")),
        ([[ON], [named(4, click(70, 50, "background"))]], Prompt(None, ((0.2, 0.3),), ((0.7, 0.5),), "crab")),
        (
            [[ON], [named(4, click(70, 50, "background"))], [ON, named(5, click(25, 35))]],
            Prompt(None, ((0.2, 0.3), (0.25, 0.35)), ((0.7, 0.5),), "crab"),
        ),
        (
            [[BOX], [OFF], [named(1, box(10, 10, 30, 40))]],
            Prompt(DrawnBox((0.1, 0.1, 0.3, 0.4)), (), ((0.45, 0.3),), "crab"),
        ),
        # Another object: a new box, a click outside of the box or of another class, a tag and label sent anew.
        ([[BOX], [OFF], [BOX, named(6, box(60, 60, 9, 9))]], Prompt(DrawnBox((0.6, 0.6, 0.09, 0.09)), (), (), "crab")),
        ([[BOX], [named(7, click(80, 80))]], Prompt(None, ((0.8, 0.8),), (), "crab")),
        ([[BOX], [named(7, click(20, 30, "fish"))]], Prompt(None, ((0.2, 0.3),), (), "fish")),
        ([[BOX], [OFF], [named(8, click(46, 30, **BESIDE))]], None),
        ([[ON], []], None),
        ([[BOX], [{**OFF, "to_name": "other"}]], None),
    ],
)
def test_requests_for_one_object_are_taken_together(requests: list[list[Json]], prompt: Prompt | None) -> None:
    regions: list[Any] = []
    for each in requests:
        regions = with_earlier(regions, 5.0, {"result": each})
    assert newest_prompt({"result": regions}) == prompt


def test_what_was_drawn_long_ago_is_another_object() -> None:
    assert with_earlier([BOX], 61.0, {"result": [ON]}) == [ON]
    assert with_earlier([BOX], 61.0, {"result": [OFF]}) == [BOX, OFF]
    assert with_earlier([BOX], 601.0, {"result": [OFF]}) == [OFF]
