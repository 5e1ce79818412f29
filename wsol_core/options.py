"""Options of methods: what a recipe may set besides `TrainConfig`. Torch-free; each method declares its own.

A method names a frozen dataclass of options, `WsolMethod.options_class`. Its fields are the options, with their types,
defaults and bounds; `read_options` makes one of the plain values in `TrainConfig.options`, or of texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from wsol_core.errors import ConfigError

Weights = Literal["DEFAULT", "IMAGENET1K_V1", "IMAGENET1K_V2"]
Options = TypeVar("Options", bound="MethodOptions")
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def bounded(default: Any, least: float = -math.inf, most: float = math.inf) -> Any:
    """A field whose value, or each value of a tuple, has to be a number in [least, most]; None may be its default."""
    return field(default=default, metadata={"least": least, "most": most})


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """The options of every method, which the training itself follows.

    Attributes:
        weights: which of torchvision's ImageNet weights the features begin with; DEFAULT is its newest.
        stage_epochs: epochs of each stage, in their order; 0 leaves a stage out. Where a training has a length of its
            own, it is split in this proportion. Empty: the method's own lengths.
        warmup: share of a stage over which the learning rates rise from 0; None: `schedule.WARMUP_SHARE`.
        decay_epochs: epochs after which the learning rates fall to a tenth, again and again; 0: a cosine to 0 instead.
        clip_norm: the largest norm of a step's gradient; 0 leaves gradients as they are; None:
            `optimizers.LARGEST_GRADIENT_NORM`.
        jitter: how much brightness, contrast and saturation vary, as in `Augmentation`; None: as the method has it.

    Example:
        >>> read_options(MethodOptions, {"warmup": 0, "stage_epochs": "70,30"}, "mine").stage_epochs
        (70, 30)
    """

    weights: Weights = "DEFAULT"
    stage_epochs: tuple[int, ...] = bounded((), least=0)
    warmup: float | None = bounded(None, least=0, most=1)
    decay_epochs: int = bounded(0, least=0)
    clip_norm: float | None = bounded(None, least=0)
    jitter: float | None = bounded(None, least=0, most=1)

    def changed(self) -> dict[str, Any]:
        """The options that are not their defaults, as plain JSON values; `read_options` reads them back."""
        standard = asdict(type(self)())
        differing = {name: value for name, value in asdict(self).items() if value != standard[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in differing.items()}


@dataclass(frozen=True, kw_only=True)
class PublishedOptions(MethodOptions):
    """The options that the published methods share.

    Attributes:
        batchnorm: "frozen": BatchNorm layers of pretrained features keep their statistics, as batches of small
            projects would spoil them; "batch": they normalise by the batch, as the publications do.
        lr: the learning rate of the features; None: 0.001 for pretrained ones, and a higher one for fresh ones.
        new_lr: the learning rate of what is new; None: the method's own.
    """

    weights: Weights = "IMAGENET1K_V1"
    batchnorm: Literal["frozen", "batch"] = "frozen"
    lr: float | None = bounded(None, least=0)
    new_lr: float | None = bounded(None, least=0)


def read_options(options_class: type[Options], values: Mapping[str, Any], method: str) -> Options:
    """The options of plain values, such as those of JSON and TOML, or of texts.

    Raises:
        ConfigError: an option is unknown to the method, or its value has no meaning; the message names it.

    Example:
        >>> read_options(PublishedOptions, {"batchnorm": "batch"}, "cam").batchnorm
        'batch'
    """
    hints = get_type_hints(options_class)
    known = {part.name: part for part in fields(options_class)}
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"Method {method} has no option {name!r}; it has {', '.join(sorted(known))}.")
        least, most = (known[name].metadata.get(end, edge) for end, edge in (("least", -math.inf), ("most", math.inf)))
        try:
            read[name] = _converted(hints[name], value)
            _check_bounds(read[name], least, most)
        except ValueError as error:
            raise ConfigError(f"Option {name!r} of method {method} is {value!r}; it has to be {error}.") from None
    return options_class(**read)


def _converted(hint: Any, value: Any) -> Any:
    """`value` as a `hint`; the ValueError's message says what it has to be."""
    if get_origin(hint) in (UnionType, Union):
        [inner] = [part for part in get_args(hint) if part is not type(None)]
        return None if value is None or value == "none" else _converted(inner, value)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"one of {', '.join(get_args(hint))}")
        return value
    if get_origin(hint) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise ValueError("a list such as 70,30")
        return tuple(_converted(get_args(hint)[0], part) for part in parts)
    return _boolean(value) if hint is bool else _number(hint, value)


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text not in (*_TRUE, *_FALSE):
        raise ValueError("true or false")
    return text in _TRUE


def _number(hint: type[int] | type[float], value: Any) -> int | float:
    wanted = "a whole number" if hint is int else "a number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(wanted)
    try:
        number = float(value)
    except ValueError:
        raise ValueError(wanted) from None
    if not math.isfinite(number) or (hint is int and number != int(number)):
        raise ValueError(wanted)
    return int(number) if hint is int else number


def _check_bounds(value: Any, least: float, most: float) -> None:
    numbers = value if isinstance(value, tuple) else (value,)
    if any(isinstance(number, int | float) and not least <= number <= most for number in numbers):
        raise ValueError(f"{least:g} or more" if most == math.inf else f"from {least:g} to {most:g}")
