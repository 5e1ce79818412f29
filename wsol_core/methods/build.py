"""Build a method on its backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from torch import Tensor

from wsol_core.methods.base import WsolMethod
from wsol_core.networks.backbones import Backbone, build_backbone
from wsol_core.registry import METHODS, check_method


def build_method(
    name: str,
    backbone: str,
    num_classes: int,
    multi_label: bool,
    state: Mapping[str, Tensor] | None = None,
    pretrained: bool | None = None,
) -> WsolMethod:
    """A fresh method on `backbone`.

    Args: state: torchvision's state dict of the backbone, where its features start from. pretrained: whether to train
        as from such a state; by default where one is given. A resumed training loads its own weights instead.
    """
    check_method(name)
    method = METHODS[name]
    network = build_backbone(backbone, method.strides, state, method.centred)
    # Methods take the backbone on top of what WsolMethod takes.
    construct = cast(Callable[[Backbone, int, bool, bool], WsolMethod], method)
    return construct(network, num_classes, multi_label, state is not None if pretrained is None else pretrained)
