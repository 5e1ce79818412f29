"""The checkpoint of a training: its whole state in one file, replaced whole or not at all.

What the state holds is in training/state.py. Nothing here reads pickles that could run code.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from wsol_core.config import TrainConfig
from wsol_core.errors import CheckpointError, ConfigError
from wsol_core.files import write_whole
from wsol_core.localization.model_folder import CHECKPOINT, is_finished, read_card

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
