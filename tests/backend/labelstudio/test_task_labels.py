from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import ImageError
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.task_labels import given_labels, image_labels, image_reference

CONFIG = LabelConfig.parse("""
<View>
  <Image name="image" value="$image"/><Header value="Class: $given"/>
  <Choices name="class" toName="image" choice="multiple">
    <Choice value="cat"/><Choice value="dog"/><Choice value="dog, wild"/>
    <Choice value="Kuh" predicted_values="cow"/>
  </Choices>
  <RectangleLabels name="box" toName="image">
    <Label value="cat"/><Label value="dog"/><Label value="dog, wild"/><Label value="Kuh"/>
  </RectangleLabels>
</View>
""")


def choice(*names: str, **more: Any) -> dict[str, Any]:
    return {"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": list(names)}, **more}


def box(name: str, **more: Any) -> dict[str, Any]:
    value = {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": [name]}
    return {"from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": value, **more}


def annotation(*results: Any, **more: Any) -> dict[str, Any]:
    return {"id": 1, "was_cancelled": False, "result": list(results), **more}


def annotated(*annotations: Any, **data: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"image": "/data/upload/1/a.png", **data}, "annotations": list(annotations)}


def test_the_picture_is_where_the_config_says() -> None:
    assert image_reference(annotated(), CONFIG) == "/data/upload/1/a.png"


def test_of_a_list_of_pictures_the_first_is_shown() -> None:
    assert image_reference({"data": {"image": ["a.png", "b.png"]}}, CONFIG) == "a.png"


def test_the_picture_may_be_below_another_key() -> None:
    config = LabelConfig("image", "pictures.large", ())
    assert image_reference({"data": {"pictures": {"large": "a.png"}}}, config) == "a.png"
    assert image_reference({"data": {"pictures.large": "b.png"}}, config) == "b.png"


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"id": 7, "data": {}}, r"Task 7: data\['image'\].* is missing"),
        ({"id": 7, "data": {"image": [["a.png"]]}}, r"Task 7: data\['image'\].* is no text"),
        ({"id": 7, "data": {"image": []}}, r"Task 7: data\['image'\].* is no text"),
        ({"id": 7, "data": {"image": " "}}, r"Task 7: data\['image'\].* is empty"),
        ({"id": 7, "data": "a.png"}, "is missing"),
        ({}, "Task without an id: .* is missing"),
    ],
)
def test_a_task_without_a_picture_is_named_with_the_key(task: dict[str, Any], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        image_reference(task, CONFIG)


def test_ticked_classes_and_drawn_regions_name_the_classes() -> None:
    task = annotated(annotation(choice("cat"), box("dog", origin="manual"), box("cat", origin="prediction-changed")))
    assert given_labels(task, CONFIG) == ("cat", "dog")
    assert image_labels(task, CONFIG, ["dog", "cat"]) == ("cat", "dog")


def test_regions_that_nobody_touched_are_no_evidence_but_choices_are() -> None:
    task = annotated(annotation(box("dog", origin="prediction"), choice("cat", origin="prediction")))
    assert given_labels(task, CONFIG) == ("cat",)


def test_regions_from_outside_without_an_origin_count() -> None:
    assert given_labels(annotated(annotation(box("dog"))), CONFIG) == ("dog",)


def test_the_newest_annotation_is_believed() -> None:
    old = annotation(choice("cat"), id=1, created_at="2026-01-01T10:00:00Z", updated_at="2026-01-04T10:00:00Z")
    new = annotation(choice("dog"), id=2, created_at="2026-01-02T10:00:00Z", updated_at="2026-01-02T10:00:00Z")
    assert given_labels(annotated(new, old), CONFIG) == ("cat",)
    assert given_labels(annotated(annotation(choice("cat"), id=3), annotation(choice("dog"), id=4)), CONFIG) == ("dog",)


def test_a_cancelled_annotation_says_nothing() -> None:
    kept = annotation(choice("cat"), id=1)
    skipped = annotation(choice("dog"), id=2, was_cancelled=True)
    assert given_labels(annotated(kept, skipped), CONFIG) == ("cat",)


def test_an_annotation_without_a_class_leaves_it_to_the_older_one_and_then_to_the_data() -> None:
    empty = annotation(id=9)
    assert given_labels(annotated(empty, annotation(choice("cat")), label="dog"), CONFIG) == ("cat",)
    assert given_labels(annotated(empty, label="dog"), CONFIG) == ("dog",)


def test_results_of_other_tags_and_pictures_say_nothing() -> None:
    config = LabelConfig.parse(CONFIG.xml.replace("<Header", '<Image name="logo" value="$logo"/><Header'))
    task = annotated(annotation(choice("cat", from_name="pose"), choice("cat", to_name="logo"), choice("dog")))
    assert given_labels(task, config) == ("dog",)


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        ({"label": "cat"}, ("cat",)),
        ({"label": " CAT "}, ("cat",)),
        ({"label": "cat, dog,,cat"}, ("cat", "dog")),
        ({"label": "dog, wild"}, ("dog, wild",)),
        ({"label": "dog, wild; cat"}, ("dog, wild", "cat")),
        ({"label": "cat|dog"}, ("cat", "dog")),
        ({"label": '["dog, wild", "cat"]'}, ("dog, wild", "cat")),
        ({"label": "[cat"}, ()),
        ({"label": "[" * 9999}, ()),
        ({"classes": ["dog", "cat", 3]}, ("dog", "cat")),
        ({"label": "cow"}, ("Kuh",)),
        ({"label": "zebra"}, ()),
        ({"label": 3}, ()),
        ({"label": "ca\u00a0t"}, ()),
        ({"label": "dog,  wild"}, ("dog, wild",)),
        ({"label": {"cat": 1}}, ()),
        ({"label": "zebra", "class": "dog"}, ("dog",)),
        ({"label": "cat", "given": "dog"}, ("dog",)),
        ({"label": "cat\ndog"}, ("cat", "dog")),
        ({"label": "['dog, wild', 'cat']"}, ("dog, wild", "cat")),
        ({"label": "['" + "x" * 9999 + "']"}, ()),
        ({"label": '"cat"'}, ("cat",)),
        ({"label": {"choices": ["cat", "dog"]}}, ("cat", "dog")),
        ({"label": '{"choices": ["cat", "dog"]}'}, ("cat", "dog")),
        ({"box": '[{"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["cat"]}]'}, ("cat",)),
        ({"label": [["animal", "cat"], ["animal", "dog", "brown"]]}, ("cat", "dog")),
        ({"label": {"taxonomy": [["animal", "cow"]]}}, ("Kuh",)),
        ({"Class ": "cat"}, ("cat",)),
        ({"Category": "dog"}, ("dog",)),
    ],
)
def test_classes_given_with_the_data_are_read(data: dict[str, Any], labels: tuple[str, ...]) -> None:
    assert given_labels(annotated(**data), CONFIG) == labels


def test_without_classes_in_the_config_every_name_counts() -> None:
    assert given_labels(annotated(label="zebra, Yak"), LabelConfig("image", "image", ())) == ("zebra", "Yak")


def test_classes_come_out_as_the_model_calls_them() -> None:
    task = annotated(annotation(choice("Kuh", "cat", "dog")))
    assert image_labels(task, CONFIG, ["CAT", "cow", "horse"]) == ("cow", "CAT")


def test_a_class_that_the_model_has_not_learnt_does_not_bring_an_older_answer_back() -> None:
    task = annotated(annotation(choice("dog"), id=2), annotation(choice("cat"), id=1), label="cat")
    assert image_labels(task, CONFIG, ["cat"]) == ()


def test_a_class_that_only_the_model_knows_is_found_in_the_data() -> None:
    assert image_labels(annotated(label="horse"), CONFIG, ["cat", "horse"]) == ("horse",)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["cat", "class", "box", "image", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "data", "annotations", "result", "value", "from_name", "to_name", "choices", "label", "image"]
                + ["origin", "was_cancelled", "updated_at", "created_at", "rectanglelabels"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["id", "data", "annotations"]), anything))
def test_nothing_that_a_task_may_hold_raises(task: dict[str, Any]) -> None:
    assert set(given_labels(task, CONFIG)) <= set(CONFIG.classes)
    assert set(image_labels(task, CONFIG, ["cat"])) <= {"cat"}


@given(
    result=anything,
    value=anything,
    names=anything,
    more=st.dictionaries(st.sampled_from(["updated_at", "id"]), anything),
)
def test_nothing_that_an_annotation_may_hold_raises(result: Any, value: Any, names: Any, more: dict[str, Any]) -> None:
    task = annotated(
        annotation(result, {**choice(), "value": value}, {**choice(), "value": {"choices": names}}, **more),
        annotation(choice("dog")),
        {"result": result},
    )
    assert set(given_labels(task, CONFIG)) <= {"cat", "dog"}
    assert set(image_labels(task, CONFIG, ["dog"])) <= {"dog"}


def test_what_there_is_to_choose_from_is_no_class_that_somebody_gave() -> None:
    config = LabelConfig.parse("""
      <View><Image name="image" value="$image"/><Header value="$labels"/>
        <RectangleLabels name="box" toName="image" value="$labels"/></View>
    """)
    task = annotated(labels=["cat", "dog"], image="a.jpg")
    assert given_labels(task, config) == ()
    assert given_labels({**task, "annotations": [annotation(box("dog"))]}, config) == ("dog",)
    assert given_labels(annotated(labels=["cat", "dog"], label="cat"), config) == ("cat",)
