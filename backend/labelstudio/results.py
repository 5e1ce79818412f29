"""A localization as Label Studio's prediction JSON: boxes, polygons, masks and choices, in percent of the picture.

What Label Studio accepts of them without a word, and then shows wrongly, is refused in prediction_check.py.
"""

from __future__ import annotations

import base64
import io
import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image

from backend.labelstudio.brush_rle import encode_mask, encoded_size
from backend.labelstudio.controls import BITMASK, BRUSH, ELLIPSE, RECTANGLE, VECTOR, Control
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.mask_budget import fit_mask
from backend.labelstudio.objects import new_object_id, region_id
from wsol_core.localization.worth import BOX_COSTS, MASK_COSTS, Costs, only_worth_showing
from wsol_core.records import BoolMask, Localization, Region

Json = dict[str, Any]

_JSON_CHARACTERS = 5  # of a byte in a JSON list, at most: three digits, a comma, a space
_DECIMALS = 4  # of a percentage; a hundredth of a pixel where the picture has ten thousand


def to_prediction(
    localization: Localization,
    config: LabelConfig,
    version: str,
    *,
    score_threshold: float | None,
    costs: Costs | None = None,
    chosen: Sequence[str] = (),
) -> Json:
    """What Label Studio shows of a localization: each region once for every control that takes it, and the choices.

    The ids say which results show the same region, see objects.py.

    The prediction's score is the mean over the regions shown, or the surest choice's where there are none.

    Args: score_threshold: for controls that have none of their own; None: a region is shown where that saves time on
        average. costs: what a region costs people; None: as published. chosen: the classes a person has given the
        picture already; they are ticked whatever their scores.
    """
    results, scores = [], {}
    names = {id(region): new_object_id() for region in localization.regions}
    costs = costs or costs_of(config)
    for number, control in enumerate(config.filled_controls):
        for region in _regions_for(control, localization, score_threshold, costs):
            shape, label = _value(control, region, localization.size_wh), control.label_for(region.label)
            if shape is not None and label is not None:
                scores[id(region)] = _unit(region.score)
                name = region_id(names[id(region)], number)
                for each, value in _named(control, shape, control.written(label)):
                    results.append(_result(name, each, localization.size_wh, region.score, value))
    surest = 0.0
    for control in config.choices:
        ticked = _ticked(control, localization, score_threshold, chosen)
        if ticked:
            surest = max(surest, *ticked.values())
            value = {control.kind: [control.written(label) for label in ticked]}
            name = secrets.token_urlsafe(8)[:10]
            results.append(_result(name, control, localization.size_wh, fmean(ticked.values()), value))
    if config.item_index is not None:
        paged = {control.name for control in config.choices if not control.per_item}
        results = [
            each if each["from_name"] in paged else {**each, "item_index": config.item_index} for each in results
        ]
    score = fmean(scores.values()) if scores else surest
    return {"result": results, "score": round(_unit(score), 4), "model_version": version}


def _named(control: Control, shape: Json, label: str | list[str]) -> list[tuple[Control, Json]]:
    """The values of a region's results: one with its label, or a bare one, and another of the same id that names it."""
    if control.source is None:
        return [(control, {**shape, control.kind: [label]})]
    naming = replace(control, name=control.source.name, kind=control.source.kind, source=None)
    where = {key: part for key, part in shape.items() if key not in ("format", "rle", "imageDataURL")}
    return [(control, shape), (naming, {**where, naming.kind: [label]})]


def costs_of(config: LabelConfig) -> Costs:
    """What a region costs people, as published. Who gets boxes and masks sees both or none, by the stricter rule."""
    return BOX_COSTS if any(control.kind == RECTANGLE for control in config.filled_controls) else MASK_COSTS


def _regions_for(
    control: Control, localization: Localization, score_threshold: float | None, costs: Costs
) -> list[Region]:
    """The surest regions that a control has labels for, as many as it takes."""
    shown = shown_of(localization, _threshold(control, score_threshold), costs).regions
    width, height = localization.size_wh
    least = (control.min_area or 0.0) * width * height
    found = [
        region
        for region in sorted(shown, key=lambda region: -_unit(region.score))
        if control.label_for(region.label) is not None
        and np.count_nonzero(region.mask) >= least
        and all(map(math.isfinite, region.box_xyxy))
    ]
    return found[: control.max_regions]


def shown_of(found: Localization, threshold: float | None, costs: Costs) -> Localization:
    """The localization with the regions that somebody's threshold lets through, or else with those that save time."""
    if threshold is None:
        return only_worth_showing(found, costs)
    return replace(found, regions=tuple(region for region in found.regions if _unit(region.score) >= threshold))


def _ticked(
    control: Control, localization: Localization, score_threshold: float | None, chosen: Sequence[str]
) -> dict[str, float]:
    """The labels to tick in a Choices tag, with their scores: one only unless it takes several, the surest first."""
    scores = _class_scores(localization, chosen, _threshold(control, score_threshold) or 0.0)
    ticked: dict[str, float] = {}
    for name, score in scores.items():
        label = control.label_for(name)
        if label is not None:
            ticked.setdefault(label, score)
    return ticked if control.multiple else dict(list(ticked.items())[:1])


def _class_scores(localization: Localization, chosen: Sequence[str], threshold: float) -> dict[str, float]:
    """The picture's classes: those chosen by a person, or else of the regions found, or else the most probable one."""
    regions: dict[str, float] = {}
    for region in sorted(localization.regions, key=lambda region: -_unit(region.score)):
        regions.setdefault(region.label, _unit(region.score))
    known = regions | {name: _unit(score) for name, score in localization.scores.items()}
    if chosen:
        return {name: known.get(name, 1.0) for name in chosen}  # a person's word, where the model knows nothing
    found = {name: known[name] for name, score in regions.items() if score >= threshold}
    if found:
        return dict(sorted(found.items(), key=lambda item: -item[1]))
    return {name: score for name, score in _most_probable(localization) if score >= threshold}


def _most_probable(localization: Localization) -> Iterator[tuple[str, float]]:
    if localization.scores:
        yield localization.label, _unit(localization.scores[localization.label])


def _threshold(control: Control, score_threshold: float | None) -> float | None:
    return score_threshold if control.score_threshold is None else control.score_threshold


def _result(name: str, control: Control, size_wh: tuple[int, int], score: float, value: Json) -> Json:
    width, height = size_wh
    return {
        "id": name,
        "from_name": control.name,
        "to_name": control.to_name,
        "type": control.type,
        "original_width": int(width),
        "original_height": int(height),
        "image_rotation": 0,
        "score": round(_unit(score), 4),
        "value": value,
    }


def _value(control: Control, region: Region, size_wh: tuple[int, int]) -> Json | None:
    """A region as a control shows it, without its label; None where there is nothing to show."""
    if control.kind in (BRUSH, BITMASK):
        if not region.mask.any():
            return None
        return _brush(region.mask) if control.kind == BRUSH else _bitmask(region.mask)
    x0, y0, x1, y1 = region.box_xyxy
    (x0, y0), (x1, y1) = _percent_xy(x0, y0, size_wh), _percent_xy(x1, y1, size_wh)
    if x0 >= x1 or y0 >= y1:
        return None
    if control.kind == RECTANGLE:
        # No sum of rounded numbers may come out above 100.
        width, height = min(round(x1 - x0, _DECIMALS), 100 - x0), min(round(y1 - y0, _DECIMALS), 100 - y0)
        return {"x": x0, "y": y0, "width": width, "height": height, "rotation": 0}
    if control.kind == ELLIPSE:
        radii = {"radiusX": round((x1 - x0) / 2, _DECIMALS), "radiusY": round((y1 - y0) / 2, _DECIMALS)}
        return {"x": round((x0 + x1) / 2, _DECIMALS), "y": round((y0 + y1) / 2, _DECIMALS), **radii, "rotation": 0}
    points = [_percent_xy(x, y, size_wh) for x, y in region.polygon if math.isfinite(x) and math.isfinite(y)]
    if len(set(points)) < 3:  # too little of the outline is on the picture
        points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    if control.kind == VECTOR:
        return {"vertices": _vertices(points), "closed": True}
    return {"points": [list(point) for point in points], "closed": True}


def _vertices(points: Sequence[tuple[float, float]]) -> list[Json]:
    """The points of an outline, each tied to the one before it."""
    names = [secrets.token_urlsafe(6) for _ in points]
    before = [None, *names[:-1]]
    return [
        {"id": name, "x": x, "y": y, "prevPointId": last, "isBezier": False}
        for (x, y), name, last in zip(points, names, before, strict=True)
    ]


def _brush(mask: BoolMask) -> Json:
    plain = fit_mask(mask, lambda mask: _JSON_CHARACTERS * encoded_size(mask))
    return {"format": "rle", "rle": encode_mask(plain)}


def _bitmask(mask: BoolMask) -> Json:
    return {"imageDataURL": _data_url(fit_mask(mask, lambda mask: len(_data_url(mask))))}


def _data_url(mask: BoolMask) -> str:
    """A PNG of black pixels on transparent ones, as the editor draws them: it reads nothing but alpha.

    One bit a pixel, with a palette of two: a hundredth of what RGBA takes to write.
    """
    picture = Image.fromarray(mask.astype(np.uint8))
    picture.putpalette([0, 0, 0, 0, 0, 0])
    file = io.BytesIO()
    picture.save(file, "PNG", bits=1, transparency=bytes([0, 255]))
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _percent_xy(x: float, y: float, size_wh: tuple[int, int]) -> tuple[float, float]:
    """Within the picture."""
    return _percent(x, size_wh[0]), _percent(y, size_wh[1])


def _percent(position: float, length: int) -> float:
    return round(min(max(100.0 * float(position) / length, 0.0), 100.0), _DECIMALS)


def _unit(score: float) -> float:
    """A score as Label Studio takes it: a number of Python's own, in [0, 1]; 0 for what is no number."""
    return min(max(float(score), 0.0), 1.0) if math.isfinite(score) else 0.0
