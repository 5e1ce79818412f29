"""One class under several names, in a config, in task data, in results and in a model."""

from __future__ import annotations

import unicodedata

import pytest

from backend.labelstudio.class_names import as_text
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.task_labels import class_of, given_labels

BEAR = "Bär"


def config(boxes: str, choices: str = "") -> LabelConfig:
    """Each argument is the options of a control."""
    picked = f'<Choices name="class" toName="image">{choices}</Choices>' if choices else ""
    drawn = f'<RectangleLabels name="box" toName="image">{boxes}</RectangleLabels>'
    return LabelConfig.parse(f'<View><Image name="image" value="$image"/>{picked}{drawn}</View>')


def label(value: str, **more: str) -> str:
    attributes = "".join(f' {name}="{text}"' for name, text in {"value": value, **more}.items())
    return f"<Label{attributes}/>"


def choice(value: str, **more: str) -> str:
    return label(value, **more).replace("<Label", "<Choice")


@pytest.mark.parametrize(
    "given",
    [
        *("cat ", "cat", " CAT", "Cat", "\ufeffcat\u200b", "cat\u00a0"),
        *(1, 1.0, "1", unicodedata.normalize("NFD", BEAR), BEAR.upper(), "brown  fox"),
    ],
)
def test_a_class_is_known_however_it_is_written_in_the_data(given: object) -> None:
    parsed = config(label("cat ") + label("1") + label(BEAR) + label("brown fox"))
    (found,) = given_labels({"id": 1, "data": {"image": "a", "label": given}}, parsed)
    assert found in parsed.classes


def test_names_that_differ_in_case_are_two_classes_where_one_control_has_both() -> None:
    parsed = config(label("cat") + label("CAT"), choice("CAT") + choice("cat"))
    assert sorted(parsed.classes) == ["CAT", "cat"]
    assert (parsed.label_for("cat"), parsed.label_for("CAT")) == ("cat", "CAT")


@pytest.mark.parametrize(
    ("picked", "drawn"),
    [
        (choice("Cat"), label("cat")),
        (choice("cat "), label("cat")),
        (choice(unicodedata.normalize("NFD", BEAR)), label(BEAR)),
        (choice("Katze"), label("cat", predicted_values="Katze")),
        (choice("Katze", predicted_values="cat"), label("cat")),
        (choice("Domestic cat", alias="cat"), label("cat")),
        (choice("Katze", alias="k"), label("cat", predicted_values="KATZE")),
        (choice("a", predicted_values="x"), label("b", predicted_values="x")),
    ],
)
def test_labels_of_two_controls_that_mean_the_same_are_one_class(picked: str, drawn: str) -> None:
    parsed = config(drawn, picked)
    (only,) = parsed.classes
    written = [control.labels[0] for control in parsed.controls]
    assert [parsed.label_for(name) for name in written] == [only, only]
    for control in parsed.controls:
        assert all(control.label_for(name) == control.labels[0] for name in (*written, only))


def test_a_models_class_is_found_by_any_of_its_names() -> None:
    parsed = config(label("Krabbe", predicted_values="crab"))
    assert class_of("Krabbe", parsed, ["fish", "crab"]) == "crab"
    assert class_of("krabbe ", parsed, ["Krabbe", "crab"]) == "Krabbe"
    assert class_of("fish", parsed, ["crab"]) is None


def test_classes_that_were_renamed_are_known_by_their_old_names_unless_those_are_classes_still() -> None:
    xml = (
        '<View><Image name="i" value="$i"/><RectangleLabels name="box" toName="i">'
        '<Label value="krabbe"/><Label value="fish"/></RectangleLabels></View>'
    )
    parsed = LabelConfig.parse(xml, {"crab": "krabbe", "fish": "krabbe"})
    assert [parsed.label_for(name) for name in ("crab", "Crab", "fish")] == ["krabbe", "krabbe", "fish"]
    assert class_of("krabbe", parsed, ["crab"]) == "crab"


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (1.0, "1"), (1.5, "1.5"), ("a", "a"), (True, "True"), ([], None)]
)
def test_numbers_are_names_as_people_write_them(value: object, text: str | None) -> None:
    assert as_text(value) == text
