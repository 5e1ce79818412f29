"""What a model folder says about its weights, as one frozen value and as JSON values. Torch-free; no files here."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from wsol_core import __version__
from wsol_core.config import TrainConfig
from wsol_core.errors import CheckpointError, ConfigError
from wsol_core.localization.worth import Calibration, Worth, evidence
from wsol_core.records import Region

CARD_VERSION = 1
NUMBERS = ("threshold", "score_scale", "score_shift", "keep_scale", "keep_shift", "most_inside", "box_margin")
LARGEST = 1e12


@dataclass(frozen=True, slots=True)
class ModelCard:
    """All that prediction needs besides the weights.

    threshold: in [0, 1], on the min-max normalised activation map; `threshold_rule` says in a sentence how it was
        chosen. class_thresholds: class -> its own, where corrected regions allowed one.
    score_scale, score_shift: a region's score, the probability that a person accepts its box, is
        sigmoid(score_scale * x + score_shift) of its uncalibrated score's logit x.
    keep_scale, keep_shift: the same for the probability that a person keeps it; None in models of before.
    refine_edges: whether maps are refined at the image's edges before thresholding.
    most_inside: the share of an object's box that may lie in another one's; 1, all of it, in models of before.
    cut_objects: whether single objects are snapped to the image's edges one by one; False in models of before.
    whole_parts: whether an object that is alone in its part of a map gets all of it; False in models of before.
    box_margin: the share of their sides by which boxes reach beyond outlines; 0 in models of before.
    looks_closer: whether objects are looked at again from closer up, see closer_look.py; False in models of before.
    uses_contrast: whether probabilities are of the contrast of outlines, too; False in models of before.
    metrics: figures of the training, by name; without boxes, so not comparable with an evaluation's.
    faults: sentences that say why the model is unreliable: its training was too short, or collapsed. Cards of before
        they were looked for have none.
    """

    config: TrainConfig
    classes: tuple[str, ...]
    multi_label: bool
    threshold: float
    threshold_rule: str
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    score_scale: float = 1.0
    score_shift: float = 0.0
    keep_scale: float | None = None
    keep_shift: float | None = None
    refine_edges: bool = True
    most_inside: float = 1.0
    box_margin: float = 0.0
    cut_objects: bool = False
    whole_parts: bool = False
    looks_closer: bool = False
    uses_contrast: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    code_version: str = __version__
    version: int = CARD_VERSION

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ConfigError(
                f"A model needs different class names, at least one; got {reprlib.repr(list(self.classes))}."
            )
        for name, threshold in {"threshold": self.threshold, **self.class_thresholds}.items():
            if not 0 <= threshold <= 1:
                raise ConfigError(f"The threshold of {name!r} is {threshold!r}; it has to be between 0 and 1.")
        if unknown := sorted(set(self.class_thresholds) - set(self.classes)):
            raise ConfigError(f"There is a threshold for {unknown[0]!r}, which is no class of the model.")

    def threshold_of(self, label: str) -> float:
        """The class's own threshold, else the model's."""
        return self.class_thresholds.get(label, self.threshold)

    @property
    def accept(self) -> Calibration:
        """What makes scores of regions' uncalibrated scores."""
        return Calibration(self.score_scale, self.score_shift)

    @property
    def keep(self) -> Calibration | None:
        """What makes the probability that a person keeps a region; None in models of before."""
        if self.keep_scale is None or self.keep_shift is None:
            return None
        return Calibration(self.keep_scale, self.keep_shift)

    def judged(self, region: Region) -> Region:
        """The region with probabilities instead of its uncalibrated score."""
        ranked = evidence(region) if self.uses_contrast else region.score
        accept, keep = self.accept.of(ranked), self.keep
        return replace(region, score=accept, keep=None if keep is None else max(accept, keep.of(ranked)))

    def with_worth(self, worth: Worth) -> ModelCard:
        """The card with other probabilities of regions, which are of their evidence."""
        return replace(
            self,
            uses_contrast=True,
            score_scale=worth.accept.scale,
            score_shift=worth.accept.shift,
            keep_scale=worth.keep.scale,
            keep_shift=worth.keep.shift,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back."""
        values = asdict(self)
        values["refine"] = values.pop("refine_edges")  # its name in model.json
        lists = {"classes": list(self.classes), "faults": list(self.faults)}
        return {**values, **lists, "config": self.config.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelCard:
        """The card of `to_dict`'s values; CheckpointError on anything missing, unknown or without meaning."""
        if not isinstance(values, Mapping):
            raise CheckpointError("The model card is not a JSON object; export the model again.")
        if (version := values.get("version")) != CARD_VERSION:
            raise CheckpointError(
                f"The model card has format {version!r} and this program reads {CARD_VERSION}; "
                "use the program's version that wrote it, or train again."
            )
        names = {"refine" if part.name == "refine_edges" else part.name for part in fields(cls)}
        values = {
            "faults": (),
            "keep_scale": None,
            "keep_shift": None,
            "most_inside": 1.0,
            "box_margin": 0.0,
            "cut_objects": False,
            "whole_parts": False,
            "looks_closer": False,
            "uses_contrast": False,
            **values,
        }  # cards of before have none
        if wrong := sorted(names ^ set(values)):
            raise CheckpointError(f"The model card's entry {wrong[0]!r} is missing or unknown; train again.")
        for name in NUMBERS:
            if not (_is_number(values[name]) or (name.startswith("keep_") and values[name] is None)):
                raise CheckpointError(f"The model card's {name} is {values[name]!r}, no number; train again.")
        try:
            if not all(isinstance(name, str) for name in values["classes"]):
                raise ValueError("a class's name is no text")
            parsed = {
                "config": TrainConfig.from_dict(values["config"]),
                "classes": tuple(values["classes"]),
                "faults": tuple(str(fault) for fault in values["faults"]),
                "refine_edges": values["refine"],
                "cut_objects": bool(values["cut_objects"]),
                "whole_parts": bool(values["whole_parts"]),
                "looks_closer": bool(values["looks_closer"]),
                "uses_contrast": bool(values["uses_contrast"]),
            }
            others = {name: value for name, value in values.items() if name not in (*parsed, "refine")}
            return cls(**parsed, **others)
        except (ConfigError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"The model card cannot be used: {error}") from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
