"""The methods by name, and how one is built on its backbone."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from wsol_core.errors import ConfigError
from wsol_core.methods.bas import Bas
from wsol_core.methods.base import WsolMethod
from wsol_core.methods.boxstrap import Boxstrap
from wsol_core.methods.cam import Cam
from wsol_core.methods.ornet import OrNet
from wsol_core.methods.wsl_bg import WslBg
from wsol_core.networks.backbones import build_backbone

METHODS: dict[str, type[Boxstrap] | type[OrNet] | type[Bas] | type[WslBg] | type[Cam]] = {
    "boxstrap": Boxstrap,
    "ornet": OrNet,
    "bas": Bas,
    "wsl_bg": WslBg,
    "cam": Cam,
}


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
    if name not in METHODS:
        raise ConfigError(f"method {name!r} is unknown; choose one of {', '.join(METHODS)}.")
    method = METHODS[name]
    network = build_backbone(backbone, method.strides, state, method.centred)
    return method(network, num_classes, multi_label, state is not None if pretrained is None else pretrained)
