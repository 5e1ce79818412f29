"""Records of the ledger: what people made of a task's prediction, region by region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What people made of a task; OPEN: they chose classes at most."""

    OPEN = "open"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    SKIPPED = "skipped"


class RegionFate(StrEnum):
    """What people made of a region; ADDED ones were not predicted."""

    ACCEPTED = "accepted"
    EDITED = "edited"
    DELETED = "deleted"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class RegionRow:
    """What became of one region. `label` is the final one, of a deleted region the predicted one.

    `kind` is Label Studio's type of the region; `iou` is that of the predicted with the final region, in [0, 1]: 1
    where it was accepted, None where there are not two to compare; `score` is the predicted region's.
    """

    label: str | None
    kind: str
    fate: RegionFate
    iou: float | None
    score: float | None


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
    regions: tuple[RegionRow, ...] = ()
    lead_time_s: float | None = None
    annotator: int | None = None
    annotation: int | None = None
    digest: str = ""
    changed: float | None = None
    doubt: ClassDoubt | None = None

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
            regions=tuple(_region(region) for region in values.get("regions", ())),
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
        return {**values, "labels": list(self.labels), "regions": list(values["regions"])}


def _region(values: Mapping[str, Any]) -> RegionRow:
    return RegionRow(
        values["label"], values["kind"], RegionFate(values["fate"]), values.get("iou"), values.get("score")
    )
