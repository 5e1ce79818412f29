"""Training settings as one frozen, torch-free value. Defaults are Boxstrap's own; papers' live with their methods."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from wsol_core.errors import ConfigError

METHOD_NAMES = ("boxstrap", "ornet", "bas", "wsl_bg", "cam")
BACKBONE_NAMES = ("mobilenet_v2", "resnet18", "resnet50", "vgg16", "tiny")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides the weights of a run, apart from the images.

    Exactly one of `epochs` and `minutes` rules the length; `epochs` counts all stages together and None of both
    means the method's own default. `side_px` is the square side images are resized to, a multiple of 32.
    """

    method: str = "boxstrap"
    backbone: str = "mobilenet_v2"
    epochs: int | None = None
    minutes: float | None = None
    batch_size: int = 32
    accumulate: int = 1
    side_px: int = 224
    holdout: float = 0.1
    patience: int = 0
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    workers: int = -1
    pretrained: bool = True

    def __post_init__(self) -> None:
        _one_of("method", self.method, METHOD_NAMES)
        _one_of("backbone", self.backbone, BACKBONE_NAMES)
        _one_of("precision", self.precision, ("auto", "float32", "bfloat16"))
        if self.epochs is not None and self.minutes is not None:
            raise ConfigError("Give epochs or minutes, not both: each of them rules how long training lasts.")
        _check("epochs", self.epochs, self.epochs is None or self.epochs >= 1, "1 or more")
        _check("minutes", self.minutes, self.minutes is None or self.minutes > 0, "more than 0")
        _check("batch_size", self.batch_size, self.batch_size >= 1, "1 or more")
        _check("accumulate", self.accumulate, self.accumulate >= 1, "1 or more")
        _check("side_px", self.side_px, self.side_px >= 64 and self.side_px % 32 == 0, "a multiple of 32, 64 or more")
        _check("holdout", self.holdout, 0 <= self.holdout < 1, "at least 0 and below 1")
        _check("patience", self.patience, self.patience >= 0, "0 (off) or more epochs")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The config of `to_dict`'s values; an unknown key raises ConfigError instead of being ignored."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"Unknown training setting {unknown[0]!r}; known are {', '.join(sorted(known))}.")
        return cls(**values)


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} {value!r} is unknown; choose one of {', '.join(choices)}.")


def _check(name: str, value: object, good: bool, rule: str) -> None:
    if not good:
        raise ConfigError(f"{name} is {value!r}; it has to be {rule}.")
