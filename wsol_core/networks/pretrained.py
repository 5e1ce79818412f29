"""Pretrained backbone weights: found in a folder, else downloaded by torchvision. Loading a file runs no code of it."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor

from wsol_core.errors import ConfigError, WeightsError
from wsol_core.registry import TIMM, backbone_info

logger = logging.getLogger(__name__)

SUFFIXES = (".pt", ".safetensors")
WRAPPERS = ("state_dict", "model_state_dict", "model")  # under which training scripts save a state dict
PREFIXES = ("module.", "model.", "backbone.", "encoder.")  # of a network inside of another


def find_weights(backbone: str, weights_dir: Path | None) -> Path | None:
    """The folder's `<backbone>.pt` or `<backbone>.safetensors`, in this order; None where there is neither.

    The files of timm's networks have their names without timm:.
    """
    if weights_dir is None:
        return None
    candidates = (weights_dir / f"{backbone.removeprefix(TIMM)}{suffix}" for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def load_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a .pt or .safetensors file; WeightsError when it holds anything else."""
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # torn files make unpickling fail in any way it can, IndexError included
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{path} cannot be read as weights ({reason}); copy it again.") from error
    state = next((state[name] for name in WRAPPERS if isinstance(state, dict) and name in state), state)
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no state dict; save one with torch.save(model.state_dict(), ...).")
    return state


def own_state(path: Path) -> dict[str, Tensor]:
    """The features in a file of the user's own, without what a training script put before the network's names.

    Raises: WeightsError when the file is not there, or holds anything else.

    Example:
        >>> build_backbone("resnet50", state=own_state(Path("moco.pt")))
    """
    if not path.is_file():
        raise WeightsError(f"There are no weights at {path}; name a .pt or .safetensors file with a state dict.")
    state = load_weights(path)
    while inner := next((found for prefix in PREFIXES if len(found := _inside(state, prefix)) * 2 > len(state)), None):
        state = inner
    return state


def _inside(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def pretrained_state(
    backbone: str, weights_dir: Path | None, allow_download: bool, version: str = "DEFAULT"
) -> dict[str, Tensor] | None:
    """The ImageNet state dict of `backbone`: from the folder, else as torchvision or timm downloads it.

    Args: version: which of torchvision's weights; DEFAULT is the backbone's own, by which it was measured, or the
        newest. A folder's `<backbone>.<version>.pt` comes before its `<backbone>.pt`, whose version nobody knows.
        timm's names end in their version, as in timm:resnet18.a1_in1k.

    Returns None for a backbone that has none, and, with a warning, where a download is not possible: the training then
    starts from scratch.
    """
    if not backbone_info(backbone).has_weights:
        return None
    if version == "DEFAULT":
        version = backbone_info(backbone).version
    path = find_weights(f"{backbone}.{version}", weights_dir) or find_weights(backbone, weights_dir)
    if path is not None:
        logger.info("The features of %s begin with the weights in %s.", backbone, path)
        return load_weights(path)
    if allow_download and backbone_info(backbone).downloads and (state := _downloaded(backbone, version)) is not None:
        return state
    logger.warning(
        "Training %s from scratch, which needs far more images: to start from ImageNet weights, put %s.pt into a "
        "folder and give that folder as weights_dir.",
        backbone,
        backbone.removeprefix(TIMM),
    )
    return None


def _downloaded(backbone: str, version: str) -> dict[str, Tensor] | None:
    """The weights from their makers' own address, or from where an earlier download keeps them; None with a warning."""
    try:
        if backbone.startswith(TIMM):
            from wsol_core.networks.timm_backbones import downloaded_state

            state = downloaded_state(backbone)
        else:
            weights = torchvision.models.get_model_weights(backbone)[version]
            state = dict(weights.get_state_dict(progress=False, check_hash=True))
    except ConfigError:
        raise
    except Exception as error:  # a network fails in many ways, and timm's downloads in those of three libraries
        logger.warning("Weights of %s could not be downloaded (%s).", backbone, str(error).splitlines()[0])
        return None
    logger.info("The features of %s begin with %s.", backbone, "timm's weights" if ":" in backbone else version)
    return state
