"""Build a method on its backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from torch import Tensor

from wsol_core.errors import ConfigError
from wsol_core.methods.base import WsolMethod
from wsol_core.networks.backbones import build_backbone
from wsol_core.options import MethodOptions, read_options
from wsol_core.registry import METHODS, check_method


def build_method(
    name: str,
    backbone: str,
    num_classes: int,
    multi_label: bool,
    state: Mapping[str, Tensor] | None = None,
    pretrained: bool | None = None,
    options: Mapping[str, Any] | None = None,
) -> WsolMethod:
    """A fresh method on `backbone`.

    Args: state: the ImageNet weights of the backbone, where its features start from. pretrained: whether to train
        as from such a state; by default where one is given. A resumed training loads its own weights instead.
        options: of the method, plain values as in `TrainConfig.options`.
    """
    check_method(name)
    method = METHODS[name]
    chosen = method_options(name, options or {})
    network = build_backbone(backbone, method.strides, state, method.centred, getattr(chosen, "max_pool", False))
    # Methods take the backbone on top of what WsolMethod takes.
    construct = cast(Callable[..., WsolMethod], method)
    common = (network, num_classes, multi_label, state is not None if pretrained is None else pretrained)
    if method.options_class is not MethodOptions:
        return construct(*common, chosen)
    built = construct(*common)
    built.options = chosen
    return built


def method_options(name: str, values: Mapping[str, Any]) -> MethodOptions:
    """The options of method `name` from plain values; ConfigError names what is unknown or has no meaning."""
    method = METHODS[name]
    options = read_options(method.options_class, values, name)
    epochs = options.stage_epochs
    if epochs and (len(epochs) != len(method.stages) or not epochs[-1]):
        raise ConfigError(
            f"Option 'stage_epochs' of method {name} is {list(epochs)}; it has to be one number for each of "
            f"{', '.join(method.stages)}, the last of them 1 or more."
        )
    return options
