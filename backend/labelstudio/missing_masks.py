"""Boxes that people drew without a mask, and the predictions and drafts that bring a mask for each of them.

Both repeat what people said as it is, marked as theirs, so that who takes one over loses nothing. Decisions about task
JSON alone; jobs/draw_masks.py finds the masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backend.labelstudio.annotations import DRAWN, MARK, WITH_MASKS, listed, person_of
from backend.labelstudio.controls import RECTANGLE
from backend.labelstudio.corrections import DrawnRegion, left_objects
from backend.labelstudio.drafts import is_ours
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.regions import UNTOUCHED
from backend.labelstudio.reviews import match_annotation

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MissingMasks:
    """The objects of a picture in an annotation that have a box and no mask, though the config has a tag for one."""

    annotation: Json
    objects: tuple[DrawnRegion, ...]


def mask_config(config: LabelConfig) -> LabelConfig:
    """Return the config with those of its controls alone that take masks or outlines."""
    return replace(config, controls=tuple(each for each in config.filled_controls if each.kind != RECTANGLE))


def missing_masks(task: Json, config: LabelConfig) -> MissingMasks | None:
    """Return the boxes without a mask of the annotation that counts; None where there are none."""
    if (found := match_annotation(task, config)) is None:
        return None
    labels = mask_config(config).controls
    bare = tuple(
        region
        for region, _ in left_objects(found.objects(config))
        if region.mask is None and any(control.label_for(region.label) for control in labels)
    )
    return MissingMasks(found.annotation, bare) if bare else None


def opens_with_draft(task: Json, annotation: Json, user: int) -> bool:
    """Return whether a draft may show masks: the annotation is the user's, and nobody has begun to change it."""
    drafts = listed(task, "drafts")
    begun = bool(task.get("draft_exists")) and not drafts
    own = all(is_ours(draft) and draft.get("annotation") == annotation["id"] for draft in drafts)
    return person_of(annotation) == str(user) and own and not begun


def with_masks(annotation: Json, masks: Sequence[Json]) -> list[dict[str, Any]]:
    """Return an annotation's results as they are, and masks beside them, all of them marked."""
    drawn = [{**each, MARK: DRAWN} for each in listed(annotation, "result")]
    return [*drawn, *({**mask, "origin": UNTOUCHED, MARK: True} for mask in masks)]


def has_masks(source: Json, annotation: Json) -> bool:
    """Return whether a prediction or draft repeats the annotation as it is now, with masks beside it."""
    drawn = [each for each in listed(source, "result") if each.get(MARK) == DRAWN]
    return bool(drawn) and drawn == with_masks(annotation, ())


def prediction_with_masks(task: Json) -> Json | None:
    """Return the task's prediction that brings masks, of whichever version and annotation; None without one."""
    found = (each for each in listed(task, "predictions") if str(each.get("model_version")).endswith(WITH_MASKS))
    return next(found, None)
