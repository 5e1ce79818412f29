"""Regions that people drew and that teach nothing, each with the reason: nothing of theirs is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backend.labelstudio.annotations import listed
from backend.labelstudio.controls import LABELS, RECTANGLE, REGION_KINDS
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.region_shapes import box_of, label_of, mask_of
from backend.labelstudio.regions import regions_of
from backend.labelstudio.task_labels import counting_annotations

TYPES = (*REGION_KINDS, *(kind.removesuffix(LABELS) for kind in REGION_KINDS))

Json = Mapping[str, Any]


def unread_regions(task: Json, config: LabelConfig) -> Iterator[str]:
    """Return why, for each region of the annotation that counts of which nothing can be learned.

    What the config itself leaves out, such as a skipped tag, is named in its `remarks`, and not here.
    """
    views = config.views(task.get("data"))
    for annotation in counting_annotations(task, config)[:1]:
        results = listed(annotation, "result")
        for result in results:
            if result.get("type") in TYPES or any(_is_of_region(view, result) for view in views):
                own = [result, *(each for each in results if each.get("id") == result.get("id") and each is not result)]
                yield from _reasons(result, own, views)


def _is_of_region(view: LabelConfig, result: Json) -> bool:
    control = view.control_of(result)
    return control is not None and control.is_region


def _reasons(result: Json, own: list[Json], views: tuple[LabelConfig, ...]) -> Iterator[str]:
    """Args: own: all results of its id, itself first."""
    name, kind = result.get("from_name"), result.get("type")
    view = next((view for view in views if view.control_of(result)), None)
    control = view.control_of(result) if view else None
    if view is None or control is None:
        if not any(each.is_another(str(name)) for each in views):
            yield f"the labeling config has no tag {name!r} for {kind}"
        return
    if not (control.fillable and control.is_region):
        return
    regions = [each for each in regions_of({"result": own}, view) if each.get("id") == result.get("id")]
    if not regions:
        yield f"tag {name!r} takes {control.type}, and no {kind}"
    for region in regions[:1]:
        names = region["value"][region["type"]]
        if not names:
            yield "it has no label"
        elif label_of(region, view) is None:
            yield f"the labeling config has no label {names[0]!r}"
        elif (box_of(region) if region["type"] == RECTANGLE else mask_of(region)) is None:
            yield f"the numbers of a {kind} mean no area of the picture"
