"""Files of a model folder: the training's checkpoint and the finished model, each replaced whole or not at all.

    checkpoint.pt       the whole training state, while training
    model.safetensors   the weights
    model.json          the ModelCard; its presence says that the training has finished
    history.jsonl       losses over time, written by the training

What the training state holds is the training's business. Nothing here reads pickles that could run code.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from wsol_core.config import TrainConfig
from wsol_core.errors import CheckpointError, ConfigError
from wsol_core.files import write_whole
from wsol_core.methods.base import WsolMethod
from wsol_core.methods.registry import build_method
from wsol_core.model_card import ModelCard

CHECKPOINT, WEIGHTS, CARD, HISTORY = "checkpoint.pt", "model.safetensors", "model.json", "history.jsonl"
FORMAT = "boxstrap training checkpoint 1"
# Everything that torch.load raises on a torn or foreign file.
_TORN = (
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
    zipfile.BadZipFile,
)


def save_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Replaces the folder's checkpoint by `state`: tensors, numbers, texts, lists and dicts."""
    # Serialised in memory first: an error of the disk then reaches us as what it is.
    content = io.BytesIO()
    torch.save({"format": FORMAT, **state}, content)
    write_whole(folder / CHECKPOINT, content.getvalue())


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The state that `save_checkpoint` was given, on the CPU; CheckpointError where there is none or it is torn."""
    path = folder / CHECKPOINT
    if not path.is_file():
        raise CheckpointError(
            f"There is no checkpoint in {folder} to resume from; start the training without --resume."
        )
    return _read_checkpoint(path)


def remove_checkpoint(folder: Path) -> None:
    """The training is over; its state is not needed any more."""
    (folder / CHECKPOINT).unlink(missing_ok=True)


def resume_config(folder: Path) -> TrainConfig:
    """The settings of the training whose checkpoint or finished model is in `folder`."""
    if is_finished(folder):
        return read_card(folder).config
    return _config(load_checkpoint(folder), folder)


def _config(state: Mapping[str, Any], folder: Path) -> TrainConfig:
    try:
        return TrainConfig.from_dict(state["config"])
    except (ConfigError, KeyError, TypeError) as error:
        raise CheckpointError(f"The settings in {folder / CHECKPOINT} cannot be used: {error}") from error


def is_finished(folder: Path) -> bool:
    """Whether the folder holds a model whose training has ended."""
    return (folder / CARD).is_file()


def is_started(folder: Path) -> bool:
    """Whether the folder holds a training's checkpoint or model."""
    return any((folder / name).exists() for name in (CHECKPOINT, WEIGHTS, CARD))


def save_model(folder: Path, method: WsolMethod, card: ModelCard) -> None:
    """Writes weights and card for prediction; the card last, since it says that the model is whole."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in method.state_dict().items()}
    write_whole(folder / WEIGHTS, safetensors.torch.save(tensors))
    write_whole(folder / CARD, (json.dumps(card.to_dict(), indent=2, ensure_ascii=False) + "\n").encode())


def read_card(folder: Path) -> ModelCard:
    """The model's card; CheckpointError says what is wrong with the folder."""
    path = folder / CARD
    if not folder.is_dir():
        raise CheckpointError(f"There is no model folder {folder}; name the folder that training wrote to.")
    if not path.is_file():
        unfinished = (folder / CHECKPOINT).is_file()
        step = (
            "its training has not finished: go on with --resume" if unfinished else "name a folder that training wrote"
        )
        raise CheckpointError(f"{folder} holds no finished model (no {CARD}); {step}.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}; train the model again.") from error
    return ModelCard.from_dict(values)


def load_model(folder: Path, device: str = "cpu") -> tuple[WsolMethod, ModelCard]:
    """The finished model of a folder, in evaluation mode and channels_last on `device`, with its card."""

    card = read_card(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{folder} has a card but no weights ({WEIGHTS}); copy the whole folder.")
    tensors = _read_weights(path)
    method = build_method(card.config.method, card.config.backbone, len(card.classes), card.multi_label)
    try:
        method.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"{path} does not fit {card.config.method} on {card.config.backbone}: {reason}"
        ) from error
    return method.to(torch.device(device)).to(memory_format=torch.channels_last).eval(), card


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except _TORN as error:
        raise CheckpointError(
            f"{path} is torn or not ours ({type(error).__name__}); train into another folder."
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this program; train into another folder.")
    return state


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return dict(safetensors.torch.load_file(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is torn or cannot be read ({error}); train the model again.") from error
