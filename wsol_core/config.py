"""Training settings as one frozen, torch-free value. Defaults are Boxstrap's own; papers' live with their methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from wsol_core.errors import ConfigError
from wsol_core.registry import backbone_info, check_backbone, check_method

PRECISIONS = ("auto", "float32", "bfloat16")
LARGEST_SIDE_PX = 2048  # in a file of settings, damaged or not, a larger one asks for gigabytes a picture
# What trainings did that name no options: they are from before there were any, and since then defaults have changed.
EARLIER_OPTIONS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("bas", "resnet18"): {"max_pool": False, "head_width": 512},
    ("bas", "resnet50"): {"max_pool": False},
    ("ornet", "resnet18"): {"stem": "stage"},
    ("ornet", "resnet50"): {"stem": "stage"},
}
# Of any image or mask that is read. Pillow refuses larger ones as decompression bombs; with the limit here, our message
# comes first.
MAX_IMAGE_PIXELS = 178_956_970


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides the weights of a training, apart from the images.

    Args:
        method: one of `METHODS`.
        backbone: one of `BACKBONES`, such as mobilenet_v2, or tiny, which is small and always learns from scratch; or
            timm:NAME for a network of timm.
        epochs: length of the training, all stages together.
        minutes: length of the training by the clock, instead of epochs. Without either each stage takes the
            steps that the method wants for so many images and classes, see `WsolMethod.default_steps`.
        brief: whether it takes only as many of those as mean something, 30 %, for a first look; a training that begins
            with such a model takes the other 70 %.
        batch_size: images a step, in each process.
        accumulate: steps whose gradients are added up before the weights change.
        side_px: side in pixels of the square that images are resized to, a multiple of 32 from 64 to LARGEST_SIDE_PX.
        holdout: share of the images, in [0, 1), that is kept from training to choose the exported epoch.
        patience: epochs without a better score on the held-out images that end a stage; 0 never does.
        seed: decides all that is random. On a CPU the same images, settings and seed give the same weights.
        device: auto (CUDA where there is one), cpu, cuda or cuda:N.
        precision: auto (bfloat16 where the hardware has it), float32 or bfloat16.
        workers: threads that load images; -1 for one a core (at most 8), 0 for the training's own thread.
        pretrained: whether to begin with ImageNet weights where the backbone has any.
        options: of the method, by name, plain values; `options_class` of the method says which there are.

    Raises:
        ConfigError: a value has no meaning, or both epochs and minutes are given.

    Example:
        >>> TrainConfig(backbone="tiny", minutes=3).method
        'boxstrap'
    """

    method: str = "boxstrap"
    backbone: str = "mobilenet_v2"
    epochs: int | None = None
    minutes: float | None = None
    brief: bool = False
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
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_method(self.method)
        check_backbone(self.backbone)
        _check("precision", self.precision, self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        if self.epochs is not None and self.minutes is not None:
            raise ConfigError("Give epochs or minutes, not both: each of them rules how long training lasts.")
        if self.brief and (self.epochs is not None or self.minutes is not None):
            raise ConfigError("A brief training has a length of its own; give neither epochs nor minutes with it.")
        _check("epochs", self.epochs, self.epochs is None or self.epochs >= 1, "1 or more")
        _check("minutes", self.minutes, self.minutes is None or self.minutes > 0, "more than 0")
        _check("batch_size", self.batch_size, self.batch_size >= 1, "1 or more")
        _check("accumulate", self.accumulate, self.accumulate >= 1, "1 or more")
        fits = 64 <= self.side_px <= LARGEST_SIDE_PX and self.side_px % 32 == 0
        _check("side_px", self.side_px, fits, f"a multiple of 32 from 64 to {LARGEST_SIDE_PX}")
        _check("holdout", self.holdout, 0 <= self.holdout < 1, "at least 0 and below 1")
        _check("patience", self.patience, self.patience >= 0, "0 (off) or more epochs")
        _check("options", self.options, isinstance(self.options, Mapping), "a table of names and values")

    @property
    def wants_weights(self) -> bool:
        """Whether the training begins with pretrained weights if they can be had."""
        return self.pretrained and backbone_info(self.backbone).has_weights

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back."""
        return {**asdict(self), "options": dict(self.options)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The config of `to_dict`'s values; an unknown key raises ConfigError instead of being ignored."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"Unknown training setting {unknown[0]!r}; known are {', '.join(sorted(known))}.")
        if "options" not in values:
            earlier = EARLIER_OPTIONS.get((values.get("method", ""), values.get("backbone", "")), {})
            values = {**values, "options": dict(earlier)}
        return cls(**values)


def _check(name: str, value: object, good: bool, rule: str) -> None:
    if not good:
        raise ConfigError(f"{name} is {value!r}; it has to be {rule}.")
