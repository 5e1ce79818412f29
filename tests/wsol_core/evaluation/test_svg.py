"""Axes: values to pixels and back into well-formed SVG."""

from __future__ import annotations

from xml.etree import ElementTree

from wsol_core.evaluation.svg import Axes

AXES = Axes(x_most=10, y_most=2, width=120, height=60, left=10, right=10, top=5, bottom=15)


def test_values_run_from_the_lower_left_to_the_upper_right_corner_within_the_margins() -> None:
    assert (AXES.x(0), AXES.x(10), AXES.y(0), AXES.y(2)) == (10, 110, 45, 5)
    assert AXES.points([(0, 0), (5, 1)]) == "10.0 45.0L60.0 25.0"


def test_a_picture_is_well_formed_whatever_its_title() -> None:
    drawn = ElementTree.fromstring(AXES.picture('a "b" <c>', AXES.grid((0.0, 2.0), "{:.1f}".format)))
    assert (drawn.get("viewBox"), drawn.get("aria-label")) == ("0 0 120 60", 'a "b" <c>')
    assert [text.text for text in drawn.iter("text")] == ["0.0", "2.0"]
