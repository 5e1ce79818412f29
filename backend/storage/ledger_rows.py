"""Records of the ledger: what people made of a task's prediction, object by object.

An object is one thing in the picture: its box and its masks, which are regions of their own in Label Studio, are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from wsol_core.evaluation.mistakes import MistakeKind

BOX = "rectanglelabels"  # older rows name the kind of each region; every other kind is a mask

Json = Mapping[str, Any]


class Outcome(StrEnum):
    """What people made of a task; OPEN: they chose classes at most."""

    OPEN = "open"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    SKIPPED = "skipped"


class Fate(StrEnum):
    """What people made of a predicted object, or of one of its regions; ADDED ones were not predicted."""

    ACCEPTED = "accepted"
    EDITED = "edited"
    DELETED = "deleted"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """What became of one object. `label` is the final class, of a deleted object the predicted one.

    `box_iou` and `mask_iou` are those of the predicted with the final box and mask, in [0, 1]: 1 where it was accepted,
    None where there are not two to compare; `score` is the predicted object's. `mistake` is that of the
    prediction, or of there being none; None where it was right, and in rows of builds that did not look for mistakes.
    """

    label: str | None
    fate: Fate
    box_iou: float | None = None
    mask_iou: float | None = None
    score: float | None = None
    mistake: MistakeKind | None = None


def fate_of_object(regions: Sequence[Fate]) -> Fate:
    """Return what became of an object whose regions had these fates, at least one: edited, unless all say the same."""
    return regions[0] if len(set(regions)) == 1 else Fate.EDITED


@dataclass(frozen=True, slots=True)
class ClassDoubt:
    """Pre-annotation sees the class `seen` with `probability`, where people have given others."""

    given: tuple[str, ...]
    seen: str
    probability: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassDoubt:
        """Read what `asdict` gave."""
        return cls(tuple(values["given"]), values["seen"], float(values["probability"]))


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What people said of a task. `version` and `score` are the prediction's that their annotation began from.

    `labels` are the classes that people gave the picture; `annotator` and `annotation` are Label Studio's numbers;
    `digest` changes when what people said changes. FeedbackStore adds `changed`, when that was seen first, in seconds
    since 1970 by our clock, and `doubt`, None where pre-annotation agrees with the labels.
    """

    task: int
    outcome: Outcome
    labels: tuple[str, ...]
    version: str | None = None
    score: float | None = None
    objects: tuple[ObjectRow, ...] = ()
    lead_time_s: float | None = None
    annotator: int | None = None
    annotation: int | None = None
    digest: str = ""
    changed: float | None = None
    doubt: ClassDoubt | None = None

    @property
    def is_negative(self) -> bool:
        """Whether people said that nothing is there: no class, and no object that they left."""
        judged = self.outcome in (Outcome.ACCEPTED, Outcome.CORRECTED)
        return judged and not self.labels and all(each.fate == Fate.DELETED for each in self.objects)

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], changed: float | None = None, doubt: ClassDoubt | None = None
    ) -> LedgerRow:
        """Read what `to_dict` gave; a missing key has its default."""
        return cls(
            task=int(values["task"]),
            outcome=Outcome(values["outcome"]),
            labels=tuple(values["labels"]),
            version=values.get("version"),
            score=values.get("score"),
            objects=_objects(values),
            lead_time_s=values.get("lead_time_s"),
            annotator=values.get("annotator"),
            annotation=values.get("annotation"),
            digest=values["digest"],
            changed=changed,
            doubt=doubt,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, without those that FeedbackStore adds."""
        values = {key: value for key, value in asdict(self).items() if key not in ("changed", "doubt")}
        return {**values, "labels": list(self.labels), "objects": list(values["objects"])}


def _objects(values: Mapping[str, Any]) -> tuple[ObjectRow, ...]:
    if "objects" not in values:
        return tuple(map(_object_of_regions, _grouped(values.get("regions", ()))))
    return tuple(
        ObjectRow(
            label=each["label"],
            fate=Fate(each["fate"]),
            box_iou=each.get("box_iou"),
            mask_iou=each.get("mask_iou"),
            score=each.get("score"),
            mistake=MistakeKind(each["mistake"]) if each.get("mistake") else None,
        )
        for each in values["objects"]
    )


def _grouped(regions: Iterable[Json]) -> list[list[Json]]:
    """Return the regions of older rows by object: its box and its masks have one class and one score."""
    objects: list[list[Json]] = []
    for region in regions:
        for own in objects:
            same = (own[0]["label"], own[0].get("score")) == (region["label"], region.get("score"))
            if same and all(each["kind"] != region["kind"] for each in own):
                own.append(region)
                break
        else:
            objects.append([region])
    return objects


def _object_of_regions(regions: Sequence[Json]) -> ObjectRow:
    boxes = [each.get("iou") for each in regions if each["kind"] == BOX]
    masks = [each.get("iou") for each in regions if each["kind"] != BOX]
    return ObjectRow(
        label=regions[0]["label"],
        fate=fate_of_object([Fate(each["fate"]) for each in regions]),
        box_iou=next(iter(boxes), None),
        mask_iou=next(iter(masks), None),
        score=regions[0].get("score"),
    )
