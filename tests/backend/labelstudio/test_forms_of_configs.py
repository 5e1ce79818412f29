"""Forms of configs that people have, each from its XML to what is learned and what is predicted."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.labelstudio.corrections import drawn_regions
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prediction_check import check_prediction
from backend.labelstudio.regions import regions_of
from backend.labelstudio.results import to_prediction
from backend.labelstudio.reviews import review
from backend.labelstudio.task_labels import given_labels, image_reference
from backend.storage.ledger_rows import Outcome
from wsol_core.records import Localization, Region

IMAGE = '<Image name="image" value="$image"/>'
BOXES = '<RectangleLabels name="box" toName="image"><Label value="cat"/><Label value="dog"/></RectangleLabels>'
NESTED = '<Choice value="animal"><Choice value="cat"/><Choice value="dog"/></Choice>'

Json = dict[str, Any]


def config(*tags: str, image: str = IMAGE) -> LabelConfig:
    return LabelConfig.parse(f"<View>{image}{''.join(tags)}</View>")


def task(*results: Json, **data: object) -> Json:
    return {"id": 1, "data": {"image": "a.png", **data}, "annotations": [{"id": 1, "result": list(results)}]}


def said(name: str, kind: str, value: object, **more: object) -> Json:
    return {"from_name": name, "to_name": "image", "type": kind, "value": {kind: value}, **more}


def box(labels: Sequence[object] = ("cat",), kind: str = "rectanglelabels", name: str = "box", **more: Any) -> Json:
    value = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, **({kind: list(labels)} if labels else {})}
    value |= more.pop("value", {})
    size = {"original_width": 200, "original_height": 100}
    return {"id": "r", "from_name": name, "to_name": "image", "type": kind, **size, **more, "value": value}


def predicted(parsed: LabelConfig, label: str = "cat") -> list[Json]:
    """What is written for an object in a picture of 20 x 10 pixels, once Label Studio could show it."""
    mask = np.zeros((10, 20), np.bool_)
    mask[2:8, 4:14] = True
    region = Region(label, (4.0, 2.0, 14.0, 8.0), 0.9, ((4, 2), (14, 2), (14, 8), (4, 8)), mask)
    found = Localization("a", (20, 10), {label: 0.9}, (region,))
    prediction = to_prediction(found, parsed, "v1", score_threshold=0.5)
    check_prediction(prediction, parsed)
    return list(prediction["result"])


def drawn(a_task: Json, parsed: LabelConfig) -> list[tuple[str, tuple[float, ...]]]:
    return [(each.label, tuple(round(side, 3) for side in each.box_xyxy)) for each in drawn_regions(a_task, parsed)]


@pytest.mark.parametrize("choices", [[["animal", "cat"]], ["cat"], [["cat"]], [["animal", "cat"], ["animal", "dog"]]])
def test_nested_choices_are_the_leaves_of_their_paths(choices: list[object]) -> None:
    parsed = config(f'<Choices name="c" toName="image" allowNested="true">{NESTED}</Choices>', BOXES)
    assert given_labels(task(said("c", "choices", choices)), parsed) == ("cat", "dog")[: len(choices)]


def test_nested_choices_are_predicted_as_paths() -> None:
    parsed = config(f'<Choices name="c" toName="image" allowNested="true">{NESTED}</Choices>', BOXES)
    assert predicted(parsed)[-1]["value"] == {"choices": [["animal", "cat"]]}


def test_a_taxonomy_is_read_and_predicted_as_paths() -> None:
    parsed = config(f'<Taxonomy name="kind" toName="image">{NESTED}</Taxonomy>', BOXES)
    assert given_labels(task(said("kind", "taxonomy", [["animal", "dog"]])), parsed) == ("dog",)
    assert predicted(parsed)[-1]["value"] == {"taxonomy": [["animal", "cat"]]}


def test_a_leaf_that_stands_twice_in_a_tree_is_known_by_its_path() -> None:
    tree = "".join(f'<Choice value="{each}"><Choice value="other"/></Choice>' for each in ("cat", "dog"))
    parsed = config(f'<Taxonomy name="kind" toName="image">{tree}</Taxonomy>')
    assert given_labels(task(said("kind", "taxonomy", [["dog", "other"]])), parsed) == ("dog / other",)
    assert predicted(parsed, "dog / other")[-1]["value"] == {"taxonomy": [["dog", "other"]]}


@pytest.mark.parametrize("path", [["animal", "cat"], ["animal", "cat", "siamese"], ["cat", "siamese", "seal point"]])
def test_a_path_that_goes_on_below_a_class_of_regions_is_of_that_class(path: list[str]) -> None:
    deeper = '<Choice value="cat"><Choice value="siamese"><Choice value="seal point"/></Choice></Choice>'
    parsed = config(f'<Taxonomy name="kind" toName="image"><Choice value="animal">{deeper}</Choice></Taxonomy>', BOXES)
    assert given_labels(task(said("kind", "taxonomy", [path])), parsed) == ("cat",)


def test_tags_may_have_spaces_at_the_ends_of_their_names() -> None:
    parsed = config(
        '<RectangleLabels name="box " toName="image "><Label value="cat"/></RectangleLabels>',
        '<PolygonLabels name="line" toName="other, image "><Label value="cat"/></PolygonLabels>',
        image='<Image name="image " value="$image"/>',
    )
    assert {(each["from_name"], each["to_name"]) for each in predicted(parsed)} == {
        ("box ", "image "),
        ("line", "image "),
    }
    assert drawn(task(box(name="box ", to_name="image ")), parsed) == [("cat", (20, 10, 60, 30))]


def test_labels_without_a_visible_name_are_none() -> None:
    parsed = config(
        '<RectangleLabels name="box" toName="image"><Label value=" "/><Label value="cat"/></RectangleLabels>'
    )
    assert parsed.classes == ("cat",)


def test_choices_that_no_region_has_labels_for_are_remarks_and_said_to_be() -> None:
    quality = '<Choices name="quality" toName="image"><Choice value="sharp"/><Choice value="blurred"/></Choices>'
    parsed = config(quality, BOXES)
    assert parsed.classes == ("cat", "dog")
    assert given_labels(task(said("quality", "choices", ["blurred"]), box()), parsed) == ("cat",)
    assert [remark.split("'")[1] for remark in parsed.remarks] == ["quality"]


@pytest.mark.parametrize("source", ['<Labels name="what" toName="image">{}</Labels>'])
def test_labels_apart_from_their_shapes_are_read_by_id_and_written_with_one_id(source: str) -> None:
    labels = '<Label value="cat"/><Label value="dog"/>'
    parsed = config(source.format(labels), '<Rectangle name="where" toName="image"/>')
    named = box(["dog"], kind="labels", name="what")
    assert drawn(task(box([], kind="rectangle", name="where"), named), parsed) == [("dog", (20, 10, 60, 30))]
    shape, label = predicted(parsed)
    assert (shape["type"], shape["from_name"], label["type"], label["from_name"]) == (
        *("rectangle", "where"),
        *("labels", "what"),
    )
    assert shape["id"] == label["id"] and label["value"]["labels"] == ["cat"] and "labels" not in shape["value"]


@pytest.mark.parametrize(
    ("tag", "value", "first"),
    [
        ("Choices", ["dog"], ["cat"]),
        ("Taxonomy", [["animal", "dog"]], [["animal", "cat"]]),
    ],
)
def test_choices_per_region_name_regions_without_labels(tag: str, value: list[object], first: list[object]) -> None:
    kind, options = tag.lower(), '<Choice value="cat"/><Choice value="dog"/>' if tag == "Choices" else NESTED
    source = f'<{tag} name="what" toName="image" perRegion="true">{options}</{tag}>'
    parsed = config(source, '<Brush name="paint" toName="image"/>', '<Rectangle name="where" toName="image"/>')
    named = said("what", kind, value, id="r")
    assert drawn(task(box([], kind="rectangle", name="where"), named), parsed) == [("dog", (20, 10, 60, 30))]
    assert [each["value"][kind] for each in predicted(parsed) if each["from_name"] == "what"] == [first, first]


def test_labels_under_the_plain_key_are_read() -> None:
    region = {**box([]), "value": {**box([])["value"], "labels": ["dog"]}}
    assert drawn(task(region), config(BOXES)) == [("dog", (20, 10, 60, 30))]


def test_a_region_with_two_labels_is_an_object_of_each_class() -> None:
    parsed = config(BOXES)
    assert drawn(task(box(["cat", "dog"])), parsed) == [("cat", (20, 10, 60, 30)), ("dog", (20, 10, 60, 30))]


@pytest.mark.parametrize("size", [{}, {"original_width": None, "original_height": 0}])
def test_a_region_without_the_pictures_size_is_learned_from_and_reviewed(size: Json) -> None:
    region = {key: value for key, value in box().items() if not key.startswith("original")} | size
    a_task = task(region)
    assert [each.box_in((200, 100)) for each in drawn_regions(a_task, config(BOXES))] == [(20, 10, 60, 30)]
    row = review(a_task, config(BOXES))
    assert row is not None and row.outcome == Outcome.CORRECTED


def test_regions_with_and_without_a_size_are_of_one_picture() -> None:
    bare = {key: value for key, value in box(value={"x": 60}).items() if not key.startswith("original")}
    assert drawn(task(box(), {**bare, "id": "s"}), config(BOXES)) == [
        ("cat", (20, 10, 60, 30)),
        ("cat", (120, 10, 160, 30)),
    ]


def test_a_label_that_is_said_twice_is_one_object() -> None:
    assert drawn(task(box(["cat", "cat"])), config(BOXES)) == [("cat", (20, 10, 60, 30))]


def test_the_pictures_size_may_be_text() -> None:
    assert drawn(task(box(original_width="200", original_height="100")), config(BOXES)) == [("cat", (20, 10, 60, 30))]


def data_url(image: Image.Image, image_format: str = "png") -> str:
    file = io.BytesIO()
    image.save(file, image_format)
    return f"data:image/{image_format};base64,{base64.b64encode(file.getvalue()).decode()}"


WHITE = Image.fromarray(np.pad(np.full((20, 40), 255, np.uint8), ((10, 70), (20, 140))))  # of a picture of 200 x 100
CLEAR = Image.merge("LA", (WHITE, WHITE))


@pytest.mark.parametrize(
    "url",
    [
        data_url(CLEAR),
        data_url(WHITE),
        data_url(WHITE.convert("1")),
        data_url(WHITE.convert("RGB")),
        data_url(CLEAR.resize((100, 50))),
        data_url(CLEAR.convert("RGBA"), "webp"),
        data_url(CLEAR).replace("image/png", "image/PNG").replace("+", "%2B"),
    ],
    ids=["clear", "grey", "one bit", "colour", "of half the size", "WebP", "quoted"],
)
def test_bitmasks_of_other_programs_are_read(url: str) -> None:
    parsed = config('<BitmaskLabels name="mask" toName="image"><Label value="cat"/></BitmaskLabels>')
    mask = box([], "bitmasklabels", "mask", value={"imageDataURL": url, "bitmasklabels": ["cat"]})
    assert drawn(task(mask), parsed) == [("cat", (20, 10, 60, 30))]


@pytest.mark.parametrize("rotation", [None, "", "0", "360"])
def test_numbers_that_other_programs_wrote_as_text_or_null_are_read(rotation: object) -> None:
    value = {"x": "10", "y": "10.0", "width": 20, "height": "20", "rotation": rotation}
    assert drawn(task(box(value=value)), config(BOXES)) == [("cat", (20, 10, 60, 30))]


def test_a_turned_rectangle_teaches_the_polygon_that_it_covers() -> None:
    (found,) = drawn_regions(task(box(value={"x": 50, "rotation": 45})), config(BOXES))
    assert found.mask is not None and not found.mask[10, 90] and 700 < found.mask.sum() < 900  # of 40 x 20 px


def test_ellipses_teach_what_they_cover_and_are_filled_where_nothing_else_is() -> None:
    ellipses = '<EllipseLabels name="round" toName="image"><Label value="cat"/></EllipseLabels>'
    value = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 10, "rotation": 90}
    ellipse = said("round", "ellipselabels", ["cat"], original_width=200, original_height=100)
    ellipse["value"] |= value
    (found,) = drawn_regions(task(ellipse), config(ellipses))
    assert found.mask is not None and found.box_xyxy == pytest.approx((90, 30, 110, 70), abs=1.1)
    (written,) = predicted(config(ellipses))
    centre_and_radii = {"x": 45.0, "y": 50.0, "radiusX": 25.0, "radiusY": 30.0, "rotation": 0}
    assert {key: written["value"][key] for key in centre_and_radii} == centre_and_radii
    assert [each["from_name"] for each in predicted(config(BOXES, ellipses))] == ["box"]
    assert "not predicted" in config(BOXES, ellipses).remarks[0]


def test_closed_vectors_are_outlines() -> None:
    parsed = config('<VectorLabels name="path" toName="image" closable="true"><Label value="cat"/></VectorLabels>')
    (written,) = predicted(parsed)
    assert [(each["x"], each["y"]) for each in written["value"]["vertices"]] == [(20, 20), (70, 20), (70, 80), (20, 80)]
    again = {**written, "origin": "manual"}
    assert drawn(task(again), parsed) == [("cat", (4, 2, 15, 9))]
    open_one = {**again, "value": {**again["value"], "closed": False}}
    assert drawn(task(open_one), parsed) == []


@pytest.mark.parametrize(
    ("value", "data", "reference"),
    [
        ("$images[0].url", {"images": [{"url": "http://host/b.jpg"}]}, "http://host/b.jpg"),
        ("https://cdn.example.com/$file", {"file": "a.jpg"}, "https://cdn.example.com/a.jpg"),
        ("http://host/$folder/$number.jpg", {"folder": "x", "number.jpg": 7}, "http://host/x/7"),
        ("$meta.picture.url", {"meta": {"picture": {"url": "b.png"}}}, "b.png"),
        ("$image", {"$undefined$": "c.png"}, "c.png"),
    ],
)
def test_what_an_image_tag_says_means_what_it_does_in_the_editor(value: str, data: Json, reference: str) -> None:
    parsed = config(BOXES, image=f'<Image name="image" value="{value}"/>')
    assert image_reference({"id": 1, "data": data}, parsed) == reference


def test_pages_of_a_list_are_pictures_of_their_own() -> None:
    parsed = config(BOXES, image='<Image name="image" valueList="$pages"/>')
    first, second = parsed.views({"pages": ["1.png", "2.png"]})
    a_task = task(box(item_index=1), pages=["1.png", "2.png"])
    assert [image_reference(a_task, page) for page in (first, second)] == ["1.png", "2.png"]
    annotation = a_task["annotations"][0]
    assert (regions_of(annotation, first), len(regions_of(annotation, second))) == ([], 1)
    assert [each["item_index"] for each in predicted(second)] == [1]


def test_a_repeater_makes_an_image_and_its_controls_for_each_item() -> None:
    repeated = (
        '<Repeater on="$pages" indexFlag="{{idx}}"><Image name="page_{{idx}}" value="$pages[{{idx}}].page"/>'
        '<RectangleLabels name="box_{{idx}}" toName="page_{{idx}}"><Label value="cat"/></RectangleLabels></Repeater>'
    )
    parsed = config(repeated, image="")
    views = parsed.views({"pages": [{"page": "1.png"}, {"page": "2.png"}]})
    a_task = {"id": 1, "data": {"pages": [{"page": "1.png"}, {"page": "2.png"}]}}
    assert [image_reference(a_task, view) for view in views] == ["1.png", "2.png"]
    assert [predicted(view)[0]["from_name"] for view in views] == ["box_0", "box_1"]


def test_several_image_tags_have_the_controls_that_belong_to_them() -> None:
    images = '<Image name="front" value="$a"/><Image name="back" value="$b"/>'
    shared = '<RectangleLabels name="box" toName="front,back"><Label value="cat"/></RectangleLabels>'
    only = '<PolygonLabels name="line" toName="back"><Label value="cat"/></PolygonLabels>'
    front, back = config(shared, only, image=images).views({"a": "1.png", "b": "2.png"})
    assert [each["from_name"] for each in predicted(front)] == ["box"]
    assert [(each["from_name"], each["to_name"]) for each in predicted(back)] == [("box", "back"), ("line", "back")]
    here, there = task(box(to_name="back")), task(box(to_name="front"))
    assert (drawn(here, front), drawn(there, back), len(drawn(here, back))) == ([], [], 1)


def test_a_class_has_one_name_over_all_pictures_of_a_task() -> None:
    images = '<Image name="front" value="$a"/><Image name="back" value="$b"/>'
    boxes = '<RectangleLabels name="box" toName="front"><Label value="Cat"/></RectangleLabels>'
    lines = '<PolygonLabels name="line" toName="back"><Label value="cat "/></PolygonLabels>'
    views = config(boxes, lines, image=images).views({})
    assert [view.classes for view in views] == [("Cat",), ("Cat",)]
    assert [view.label_for("cat ") for view in views] == ["Cat", "Cat"]
    assert predicted(views[1], "Cat")[0]["value"]["polygonlabels"] == ["cat "]


def test_a_picture_with_choices_alone_is_none_to_learn_from_beside_one_to_draw_in() -> None:
    images = '<Image name="front" value="$a"/><Image name="image" value="$b"/>'
    remark = '<Choices name="ok" toName="front"><Choice value="good"/><Choice value="bad"/></Choices>'
    (only,) = config(remark, BOXES, image=images).views({})
    assert (only.image, only.classes) == ("image", ("cat", "dog"))


@pytest.mark.parametrize("labels", [["cat", "dog"], [{"value": "cat"}, {"value": "Hund", "alias": "dog"}]])
def test_labels_that_come_with_the_task_are_those_of_its_controls(labels: list[object]) -> None:
    (view,) = config('<RectangleLabels name="box" toName="image" value="$labels"/>').views({"labels": labels})
    assert view.classes == ("cat", "dog")
    assert predicted(view, "dog")[0]["value"]["rectanglelabels"] == ["dog"]
    assert drawn(task(box(["dog"]), labels=labels), view) == [("dog", (20, 10, 60, 30))]


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        (('<Rectangle name="where" toName="image"/>', BOXES), "have no class"),
        (('<Taxonomy name="kind" toName="image" apiUrl="http://host/x"/>', BOXES), "apiUrl"),
        (('<MagicWand name="wand" toName="image"/>', BOXES), "MagicWand"),
    ],
)
def test_what_is_not_supported_is_named_with_what_to_do(tags: tuple[str, ...], wanted: str) -> None:
    (remark,) = config(*tags).remarks
    assert wanted in remark and (";" in remark)


def test_nothing_is_said_of_choices_where_each_task_brings_the_labels_of_regions() -> None:
    choices = '<Choices name="class" toName="image" value="$names"/>'
    assert config(choices, '<BrushLabels name="mask" toName="image" value="$names"/>').remarks == ()


def test_results_of_a_tag_that_was_renamed_since_are_those_of_the_only_one_of_its_kind() -> None:
    assert drawn(task(box(name="bbox")), config(BOXES)) == [("cat", (20, 10, 60, 30))]
    two = BOXES + BOXES.replace('"box"', '"other"')
    assert drawn(task(box(name="bbox")), config(two)) == []
    assert drawn(task(box(name="bbox", to_name="picture")), config(BOXES)) == [("cat", (20, 10, 60, 30))]
    two = '<Image name="second" value="$second"/>' + BOXES
    assert drawn(task(box(to_name="second")), config(two)) == drawn(task(box(to_name="picture")), config(two)) == []
