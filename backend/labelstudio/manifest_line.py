"""What a picture of a task teaches, as one line of a run's manifest says it. Task JSON in, records out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backend.labelstudio.corrections import DrawnRegion, cleared_labels, drawn_regions, in_holdout
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.reviews import shows_nothing
from backend.labelstudio.task_labels import given_labels


class Part(StrEnum):
    """What a task's picture is for: to be trained on, or to compare versions on."""

    TRAIN = "train"
    HOLDOUT = "holdout"


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """What a picture teaches. `regions` are as people drew them; the manifest has them in pixels of the picture."""

    task: int
    labels: tuple[str, ...]
    regions: tuple[DrawnRegion, ...]
    part: Part
    view: int = 0


def manifest_line(task: Mapping[str, Any], config: LabelConfig, project_id: str, view: int = 0) -> ManifestLine | None:
    """Return what a picture teaches; None if nobody gave it a class, nor said that it shows none.

    A class whose predicted objects a person removed, without drawing others, is not taught: nothing of it is there. One
    of which people corrected an object is finished: its regions are all that there is of it in the picture.
    """
    labels = _taught_labels(task, config)
    if labels is None:
        return None
    regions = tuple(region for region in drawn_regions(task, config) if region.label in labels)
    held = (bool(regions) or not labels) and in_holdout(project_id, int(task["id"]))
    return ManifestLine(task["id"], labels, regions, Part.HOLDOUT if held else Part.TRAIN, view)


def _taught_labels(task: Mapping[str, Any], config: LabelConfig) -> tuple[str, ...] | None:
    """Return a picture's classes, () where people said that it shows none; None where nobody said anything."""
    if shows_nothing(task, config):
        return ()
    cleared = cleared_labels(task, config)
    return tuple(label for label in given_labels(task, config) if label not in cleared) or None
