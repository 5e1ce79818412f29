from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import RequestError
from backend.labelstudio.controls import KINDS, Control
from backend.labelstudio.label_config import LabelConfig

USUAL = """
<View>
  <Header value="Class given with the image: $label"/>
  <Image name="image" value="$image" zoom="true"/>
  <Choices name="class" toName="image" choice="multiple"><Choice value="circle"/><Choice value="square"/></Choices>
  <RectangleLabels name="box" toName="image" smart="true" model_score_threshold="0.4" model_max_regions="3">
    <Label value="circle"/><Label value="star"/>
  </RectangleLabels>
  <BrushLabels name="mask" toName="image" model_min_area="0.01"><Label value="circle"/></BrushLabels>
  <KeyPointLabels name="point" toName="image" smart="true"><Label value="tip"/></KeyPointLabels>
  <TextArea name="remark" toName="image"/>
</View>
"""


def with_control(control: str) -> LabelConfig:
    return LabelConfig.parse(f'<View><Image name="image" value="$image"/>{control}</View>')


def a_control(attributes: str = "", label: str = '<Label value="cat"/>') -> Control:
    return with_control(f'<RectangleLabels name="box" toName="image" {attributes}>{label}</RectangleLabels>').controls[
        0
    ]


def test_the_usual_config_is_read() -> None:
    config = LabelConfig.parse(USUAL)
    assert (config.image, config.image_key, config.label_keys) == ("image", "image", ("label",))
    assert config.controls == (
        Control("class", "choices", "image", ("circle", "square"), multiple=True),
        Control("box", "rectanglelabels", "image", ("circle", "star"), smart=True, score_threshold=0.4, max_regions=3),
        Control("mask", "brushlabels", "image", ("circle",), min_area=0.01),
        Control("point", "keypointlabels", "image", ("tip",), smart=True),
    )


def test_classes_are_the_labels_that_a_region_can_show_in_order_of_appearance() -> None:
    assert LabelConfig.parse(USUAL).classes == ("circle", "star")


def test_region_controls_and_choices_leave_out_what_is_never_filled() -> None:
    config = LabelConfig.parse(USUAL)
    assert [control.name for control in config.region_controls] == ["box", "mask"]
    assert [control.name for control in config.choices] == ["class"]


def test_a_skipped_control_is_kept_but_neither_filled_nor_a_source_of_classes() -> None:
    config = with_control(
        '<Choices name="quality" toName="image" model_skip="true"><Choice value="good"/></Choices>'
        '<PolygonLabels name="outline" toName="image"><Label value="cat"/></PolygonLabels>'
    )
    assert config.controls[0].skip
    assert config.choices == ()
    assert config.classes == ("cat",)


def test_choices_of_a_region_are_not_those_of_the_picture() -> None:
    config = with_control(
        '<Choices name="pose" toName="image" perRegion="true"><Choice value="asleep"/></Choices>'
        '<BitmaskLabels name="mask" toName="image"><Label value="cat"/></BitmaskLabels>'
    )
    assert [control.name for control in config.controls] == ["mask"]


def test_the_old_name_of_the_threshold_is_still_read() -> None:
    assert a_control('score_threshold="0.25"').score_threshold == 0.25
    assert a_control('score_threshold="" model_max_regions=" "') == a_control("")
    assert a_control('score_threshold="0.25" model_score_threshold="0.75"').score_threshold == 0.75


@pytest.mark.parametrize(
    ("attribute", "wanted"),
    [
        ('model_score_threshold="high"', "a number from 0 to 1"),
        ('model_score_threshold="nan"', "a number from 0 to 1"),
        ('score_threshold="-0.1"', "a number from 0 to 1"),
        ('model_min_area="50"', "a number from 0 to 1"),
        ('model_max_regions="0"', "a whole number from 1"),
        ('model_max_regions="2.5"', "a whole number from 1"),
        ('model_max_regions="²"', "a whole number from 1"),
    ],
)
def test_an_attribute_for_the_model_without_meaning_is_named(attribute: str, wanted: str) -> None:
    with pytest.raises(RequestError, match=f"{attribute.partition('=')[0]}=.* of control tag 'box' .* Write {wanted}"):
        a_control(attribute)


def test_attributes_for_other_models_are_passed_over() -> None:
    assert a_control('model_path="yolov8n.pt" model_conf="0.2"').labels == ("cat",)


def test_a_label_is_found_by_its_name_then_by_predicted_values_then_whatever_the_case() -> None:
    control = a_control(label='<Label value="Katze" predicted_values="cat, Kitten"/><Label value="CAT"/>')
    assert control.label_for("Katze") == "Katze"
    assert control.label_for("CAT") == "CAT"
    assert control.label_for("cat") == "Katze"
    assert control.label_for("kitten") == "Katze"
    assert control.label_for("katze") == "Katze"
    assert control.label_for("Cat") == "CAT"
    assert control.label_for("dog") is None


def test_an_alias_is_what_results_carry_and_the_value_leads_to_it() -> None:
    control = a_control(label='<Label value="Domestic cat" alias="cat"/>')
    assert control.labels == ("cat",)
    assert control.label_for("Domestic cat") == "cat"


def test_the_config_knows_how_a_class_is_written() -> None:
    config = LabelConfig.parse(USUAL)
    assert config.label_for("STAR") == "star"
    assert config.label_for("tip") is None  # of key points


def test_labels_within_further_tags_are_found() -> None:
    assert a_control(label='<View><Label value="cat"/></View><Label value="cat"/><Label value=""/>').labels == ("cat",)


def test_tags_and_attributes_may_be_written_in_any_case() -> None:
    config = LabelConfig.parse(
        '<view><image name="i" value="$url"/>'
        '<rectanglelabels name="b" toname="i"><label value="cat"/></rectanglelabels></view>'
    )
    assert (config.image_key, config.classes) == ("url", ("cat",))


def test_a_config_may_have_a_namespace_and_blanks_before_its_declaration() -> None:
    config = LabelConfig.parse(
        '\n <?xml version="1.0" encoding="utf-16"?><View xmlns="http://labels"><Image name="i" value="$url"/>'
        '<RectangleLabels name="b" toName="i"><Label value="cat"/></RectangleLabels></View>'
    )
    assert (config.image_key, config.classes) == ("url", ("cat",))


def test_a_control_of_several_tags_belongs_to_each() -> None:
    config = LabelConfig.parse(
        '<View><Image name="left" value="$a"/><Image name="right" value="$b"/>'
        '<BrushLabels name="mask" toName="text, right"><Label value="cat"/></BrushLabels></View>'
    )
    assert (config.image, config.image_key) == ("right", "b")
    assert [control.to_name for control in config.controls] == ["right"]


def test_the_first_picture_that_can_be_filled_is_taken() -> None:
    config = LabelConfig.parse(
        '<View><Image name="logo" value="$logo"/><Image name="photo" value="$photo"/>'
        '<KeyPointLabels name="point" toName="logo"><Label value="tip"/></KeyPointLabels>'
        '<RectangleLabels name="box" toName="photo"><Label value="cat"/></RectangleLabels></View>'
    )
    assert (config.image, config.image_key, config.label_keys) == ("photo", "photo", ("logo",))


def test_data_keys_are_found_within_text_and_below_others() -> None:
    config = LabelConfig.parse(
        '<View><Header value="$meta.class, seen by $person."/><Text name="t" value="$person"/>'
        '<Image name="image" value="$pictures.large"/>'
        '<Choices name="class" toName="image" value="$options"><Choice value="cat"/></Choices></View>'
    )
    assert config.image_key == "pictures.large"
    assert config.label_keys == ("meta.class", "person")


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "no XML: no element found"),
        ("<View>", "no XML: no element found"),
        ("<View>\ud800</View>", "cannot be read"),
        ("<View/>", "no Image tag"),
        ('<View><Image value="$image"/></View>', "no Image tag with a name"),
        ('<View><Image name="image" value="$image"/></View>', r"can fill \(found: none\)"),
        (
            '<View><Image name="image" value="$image"/><TextArea name="t" toName="image"/></View>',
            r'can fill \(found: TextArea\).*toName="image"',
        ),
        (
            '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image"/></View>',
            r"can fill \(found: RectangleLabels\).*has labels",
        ),
        (
            '<View><Image name="image" value="$image"/>'
            '<RectangleLabels name="box" toName="elsewhere"><Label value="cat"/></RectangleLabels></View>',
            "can fill",
        ),
        (
            '<View><Image name="image" value="picture.png"/>'
            '<RectangleLabels name="box" toName="image"><Label value="cat"/></RectangleLabels></View>',
            "Image tag 'image' names no key",
        ),
    ],
)
def test_what_is_missing_is_named(xml: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        LabelConfig.parse(xml)


def test_document_types_are_refused_before_an_entity_grows() -> None:
    bomb = '<!DOCTYPE v [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><View>&b;</View>'
    with pytest.raises(RequestError, match="document type"):
        LabelConfig.parse(bomb)


@given(st.text())
def test_any_text_gives_a_config_or_a_reason(xml: str) -> None:
    with pytest.raises(RequestError):
        LabelConfig.parse(xml)


@given(
    kind=st.sampled_from(KINDS),
    names=st.lists(st.sampled_from(["name", "toName", "smart", "model_skip", "model_max_regions", "choice"])),
    value=st.sampled_from(["image", "true", "", "1", "$image", "image,,other"]),
)
def test_controls_of_any_attributes_give_a_config_or_a_reason(kind: str, names: list[str], value: str) -> None:
    attributes = " ".join(f'{name}="{value}"' for name in dict.fromkeys(names))
    try:
        config = with_control(f'<{kind} {attributes}><Label value="cat"/></{kind}>')
    except RequestError:
        return
    assert config.classes == ("cat",)


def _each(count: int, text: str) -> str:
    return "".join(text.replace("#", str(number)) for number in range(count))


IMAGE, OWN_IMAGE = '<Image name="image" value="$image"/>', '<Image name="i#" value="$a#"/>'
OWN_BOXES = '<RectangleLabels name="r#" toName="i#"><Label value="a#"/></RectangleLabels>'
BOXES_OF_ALL = '<RectangleLabels name="r#" toName="ALL"><Label value="a#"/></RectangleLabels>'
TWO_CHOICES = '<Choices name="c#" toName="image"><Choice value="x#"/><Choice value="X#"/></Choices>'


def _labels(labels: str) -> str:
    return f'{IMAGE}<RectangleLabels name="r" toName="image">{labels}</RectangleLabels>'


# Configs of a size, and the largest one.
SIZED: dict[str, tuple[Callable[[int], str], int]] = {
    "pictures": (lambda n: _each(n, OWN_IMAGE + OWN_BOXES), 490),
    "controls of all pictures": (
        lambda n: _each(n, OWN_IMAGE) + _each(20, BOXES_OF_ALL).replace("ALL", _each(n, "i#,")),
        490,
    ),
    "labels": (lambda n: _labels(_each(n, '<Label value="a#" alias="b#"/>')), 5000),
    "further names": (lambda n: _labels(_each(n, '<Label value="a#" predicted_values="b,c,d,e,f"/>')), 4000),
    "alike labels": (lambda n: _each(n, TWO_CHOICES) + _labels('<Label value="x1"/>'), 1000),
}


@pytest.mark.parametrize("many", SIZED)
def test_a_config_takes_steps_in_proportion_to_its_length(many: str) -> None:
    config, largest = SIZED[many]
    quarter, whole = _lines_run(f"<View>{config(largest // 4)}</View>"), _lines_run(f"<View>{config(largest)}</View>")
    assert 1000 < whole < 8 * quarter  # of four times the length; the square would be sixteen times as much


def _lines_run(config: str) -> int:
    """How many lines of Python are run to read a config and to use it: unlike time, the same on any machine."""
    count = 0

    def traced(frame: FrameType, event: str, arg: object) -> object:
        nonlocal count
        count += event == "line"
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        read = LabelConfig.parse(config)
        read.views({"image": "x"})
        assert read.label_for("nobody's") is None
    finally:
        sys.settrace(before)
    return count


def test_more_pictures_than_a_task_can_have_are_refused() -> None:
    with pytest.raises(RequestError, match="501 Image tags; leave out some, 500 are the most"):
        LabelConfig.parse(f"<View>{_each(501, OWN_IMAGE)}</View>")
