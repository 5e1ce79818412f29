"""What a person points at with Auto-Annotation on: one object, by a box or by clicks on it and beside it.

Label Studio sends all smart regions that have not been accepted yet, of one type and label, the newest last. A click
with Alt held down, or with a label such as "background", is on something else than the object. Strokes of a brush, and
labels that are called otherwise, come as clicks and as "background"; see prompt_marks.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.labelstudio.annotations import listed
from backend.labelstudio.controls import CHOICE_KINDS, LABELS
from backend.labelstudio.region_shapes import MOST
from backend.labelstudio.regions import names_in

BOXES = ("rectanglelabels", "rectangle", "ellipselabels", "ellipse")
POINTS = ("keypointlabels", "keypoint")
BACKGROUND = ("background", "negative", "exclude")  # labels of points that are not on the object
ELLIPSE_CORNERS = 32
CLICKED_IN_S = 60.0  # after a box, within which a click in it is about what the box is about
REMEMBERED_S = 600.0  # marks that a request does not repeat
MOST_MARKS = 200  # the newest; nobody clicks as often, and each takes time

Json = Mapping[str, Any]
PointXy = tuple[float, float]


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A rectangle or ellipse in shares of the picture, 0 to 1, from its upper left corner, before it was turned.

    `rotation` is in degrees clockwise, of a rectangle about that corner, of an ellipse about its middle.
    """

    xywh: tuple[float, float, float, float]
    rotation: float = 0.0
    is_ellipse: bool = False

    @property
    def is_upright_rectangle(self) -> bool:
        """Whether it is its own bounding box."""
        return not self.is_ellipse and not self.rotation % 360

    def outline(self, size_wh: tuple[int, int]) -> tuple[PointXy, ...]:
        """Return its corners in pixels of a picture of that size; an ellipse has many."""
        x, y, w, h = (share * side for share, side in zip(self.xywh, (*size_wh, *size_wh), strict=True))
        if self.is_ellipse:
            turns = [2 * math.pi * number / ELLIPSE_CORNERS for number in range(ELLIPSE_CORNERS)]
            (x, y), corners = (x + w / 2, y + h / 2), [(w / 2 * math.cos(t), h / 2 * math.sin(t)) for t in turns]
        else:
            corners = [(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)]
        cos, sin = math.cos(math.radians(self.rotation)), math.sin(math.radians(self.rotation))
        return tuple((x + a * cos - b * sin, y + a * sin + b * cos) for a, b in corners)

    def holds(self, point: PointXy) -> bool:
        """Whether a point, in shares of the picture, is in its bounding box, as far as that needs no picture."""
        x, y, w, h = self.xywh
        if not self.is_upright_rectangle and not self.is_ellipse:
            reach = math.hypot(w, h)  # turned about its corner by whatever angle
            return abs(point[0] - x) <= reach and abs(point[1] - y) <= reach
        return x <= point[0] <= x + w and y <= point[1] <= y + h


@dataclass(frozen=True, slots=True)
class Prompt:
    """One object: in `box`, where that is not None; `inside` and `outside` are clicks on it and beside it, in shares.

    `label` is what the person chose, if anything.
    """

    box: DrawnBox | None
    inside: tuple[PointXy, ...]
    outside: tuple[PointXy, ...]
    label: str | None


@dataclass(frozen=True, slots=True)
class _Mark:
    """A region of the context: a box or a point. `place` says in which of a task's pictures it is."""

    place: tuple[object, object]
    label: str | None
    box: DrawnBox | None = None
    point: PointXy = (0.0, 0.0)
    is_positive: bool = True


def with_earlier(earlier: Sequence[Json], age_s: float, context: Json) -> list[Json]:
    """Return the regions of a context after those that earlier ones have drawn for the same object.

    The editor sends the regions of one tag and label alone: after a box, a click beside the object comes without the
    box, and a click labelled `background` without those on the object. It deletes what was drawn once the suggestion
    is accepted, so regions of a tag and label that were all sent never before begin another object.

    Args: earlier: what this returned the last time for the task, `age_s` seconds ago.
    """
    drawn, groups = listed(context, "result"), set(map(_group, listed(context, "result")))
    if not (age_s < REMEMBERED_S and _continues(drawn, earlier, age_s)):
        return list(drawn)
    kept = [each for each in earlier if _group(each) not in groups]
    return [*kept, *drawn][-MOST_MARKS:]


def _continues(drawn: Sequence[Json], earlier: Sequence[Json], age_s: float) -> bool:
    """Return whether regions are about the object of earlier ones."""
    known_ids = {each.get("id") for each in earlier} - {None}
    marks, known = _marks(drawn), _marks(earlier)
    if not marks or not known or marks[-1].place != known[-1].place:
        return False
    if marks[-1].box is not None and drawn[-1].get("id") not in known_ids:
        return False
    if known_ids & {each.get("id") for each in drawn}:
        return True
    if not {*map(_group, drawn)}.isdisjoint(map(_group, earlier)):
        return False
    clicks = [mark for mark in marks if mark.is_positive]
    box = next((mark for mark in reversed(known) if mark.box is not None), None)
    return not clicks or (age_s < CLICKED_IN_S and all(_is_in(click, box) for click in clicks))


def _is_in(click: _Mark, box: _Mark | None) -> bool:
    """Return whether a click is in a box, and means the same class."""
    return box is not None and box.box is not None and box.label == click.label and box.box.holds(click.point)


def _group(region: Json) -> tuple[object, ...]:
    """Return what the regions that the editor sends together have in common."""
    value, kind = region.get("value"), str(region.get("type"))
    labels = value.get(kind) if isinstance(value, Mapping) else None
    return (kind, region.get("to_name"), region.get("item_index"), str(labels))


def newest_prompt(context: Json) -> Prompt | None:
    """Return the object that the newest box or click is about; None if there is none, or clicks beside it alone.

    A click in a box refines what is in it, and so does one beside the object, wherever it is; clicks outside of all
    boxes are about an object of their own.
    """
    marks = _marks(listed(context, "result"))
    if not marks:
        return None
    newest = marks[-1]
    marks = [mark for mark in marks if mark.place == newest.place][-MOST_MARKS:]
    boxes = [mark for mark in marks if mark.box is not None]
    points = [mark for mark in marks if mark.box is None]
    box = newest if newest.box is not None else _box_of(newest, boxes)
    if box is not None and box.box is not None:
        own = [point for point in points if box.box.holds(point.point) or not point.is_positive]
        return Prompt(box.box, _places(own, True), _places(own, False), box.label or _label(own))
    free = [each for each in points if not any(other.box and other.box.holds(each.point) for other in boxes)]
    label = _label(free)
    own = [point for point in free if not point.is_positive or point.label == label]
    inside = _places(own, True)
    return Prompt(None, inside, _places(own, False), label) if inside else None


def _marks(regions: Sequence[Json]) -> list[_Mark]:
    named = {str(each["id"]): name for each in regions if "id" in each and (name := _given_name(each))}
    return [mark for region in regions if (mark := _mark(region, named.get(str(region.get("id")))))]


def _box_of(point: _Mark, boxes: Sequence[_Mark]) -> _Mark | None:
    """Return the newest box that a click is in; for a click beside the object, else the newest of all."""
    holding = [each for each in boxes if each.box is not None and each.box.holds(point.point)]
    return next(reversed(holding or ([] if point.is_positive else boxes)), None)


def _places(points: Sequence[_Mark], is_positive: bool) -> tuple[PointXy, ...]:
    return tuple(each.point for each in points if each.is_positive == is_positive)


def _label(points: Sequence[_Mark]) -> str | None:
    """Return the label of the newest click on the object."""
    return next((each.label for each in reversed(points) if each.is_positive), None)


def _mark(region: Json, name: str | None) -> _Mark | None:
    """Args: name: what another result of its id calls it, where the tags with labels stand apart."""
    if not isinstance(value := region.get("value"), Mapping):
        return None
    kind = region.get("type")
    if kind not in BOXES + POINTS:
        return None
    numbers = [value.get(name) for name in ("x", "y", "width", "height", "radiusX", "radiusY", "rotation")]
    x, y, w, h, radius_x, radius_y, rotation = (
        float(number) if isinstance(number, int | float) and abs(number) < MOST else 0.0 for number in numbers
    )
    label = _first(value.get(str(kind))) or _first(value.get("labels")) or name
    place = (region.get("to_name"), region.get("item_index"))
    if kind in POINTS:
        is_background = label is not None and label.casefold() in BACKGROUND
        is_positive = region.get("is_positive", True) is not False and not is_background
        return _Mark(place, None if is_background else label, point=(x / 100, y / 100), is_positive=is_positive)
    if is_ellipse := str(kind).startswith("ellipse"):
        x, y, w, h = x - radius_x, y - radius_y, 2 * radius_x, 2 * radius_y
    box = DrawnBox((x / 100, y / 100, w / 100, h / 100), rotation, is_ellipse)
    return _Mark(place, label, box) if w > 0 and h > 0 else None


def _given_name(result: Json) -> str | None:
    """Return the label that a result gives a region: of paths the last part."""
    kind, value = result.get("type"), result.get("value")
    names = names_in(value, str(kind)) if kind in (LABELS, *CHOICE_KINDS) and isinstance(value, Mapping) else []
    return (names[0] if isinstance(names[0], str) else names[0][-1]) if names else None


def _first(labels: object) -> str | None:
    return labels[0] if isinstance(labels, list) and labels and isinstance(labels[0], str) else None
