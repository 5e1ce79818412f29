"""Records of a published version: how it was trained, and how the gate compared it with the live version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from backend.settings import GateMode
from backend.storage.files import Moment, checked

Json = dict[str, Any]


class GateCriterion(StrEnum):
    """What a version was compared with the live one by."""

    FIRST_VERSION = "first version"
    HOLDOUT = "holdout"
    LABELS = "labels only"
    FAULTS = "faults"
    FIRST_LOOK = "first look"


@dataclass(frozen=True, slots=True)
class GateDecision:
    """`against`: the live version, None before the first. `passed`: not worse. `promoted`: to become live.

    measures: name -> {"live", "new", "difference", "low", "high"}; the interval only where pictures were compared.
    """

    mode: GateMode
    criterion: GateCriterion
    against: str | None
    pictures: int
    passed: bool
    promoted: bool
    sentence: str
    measures: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: object) -> GateDecision | None:
        """Read what `to_dict` gave; a missing key has its default. None for anything that is no such record."""
        if not isinstance(values, Mapping) or not values:
            return None
        known = {name: value for name, value in values.items() if value is not None}
        try:
            return checked(cls, {**_GATE_DEFAULTS, **known})
        except ValidationError:
            return None

    def to_dict(self) -> Json:
        """Return JSON values."""
        return asdict(self)


_GATE_DEFAULTS: Json = {
    "mode": GateMode.AUTO,
    "criterion": GateCriterion.HOLDOUT,
    "against": None,
    "pictures": 0,
    "passed": False,
    "promoted": False,
    "sentence": "",
}


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """The content of version.json. The registry adds `version`, `parent` (live before) and `created` (since 1970).

    Counts are of pictures: `pictures` were trained on, `corrected` of those have regions of people, `holdout` were
    kept for the gate. `metrics` are the training's own; `config` is its TrainConfig as JSON values. `faults` say in
    sentences why the version is unreliable; those of before they were looked for have none.
    """

    run: str | None = None
    trigger: str = ""
    classes: tuple[str, ...] = ()
    pictures: int | None = None
    corrected: int | None = None
    holdout: int | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    code_version: str = ""
    gate: GateDecision | None = None
    faults: tuple[str, ...] = ()
    version: str = ""
    parent: str | None = None
    created: Moment | None = None

    @property
    def is_first_look(self) -> bool:
        """Whether its training was brief, so that boxes came early."""
        return bool(self.config.get("brief"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VersionFacts:
        """Read version.json; keys of other versions of Boxstrap are left out, missing ones have defaults.

        Raises: ValueError naming a value that has no meaning.
        """
        known = {name: value for name, value in values.items() if value is not None}
        return checked(cls, {**known, "gate": GateDecision.from_dict(values.get("gate"))})

    def to_dict(self) -> Json:
        """Return JSON values."""
        return asdict(self)
