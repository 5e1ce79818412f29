"""The checkpoint of a training: its whole state in one file, replaced whole or not at all, and when it is written.

Reading runs no code that a file could bring along (`weights_only`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from wsol_core.config import TrainConfig
from wsol_core.errors import CheckpointError, ConfigError, MissingCheckpointError
from wsol_core.files import write_whole
from wsol_core.localization.model_folder import CHECKPOINT, is_finished, read_card
from wsol_core.training.history import History
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.time_budget import TimeBudget

CHECKPOINT_S = 60.0  # at least this often
CHECKPOINT_SHARE = 20  # an epoch's end is saved only when this many times the writing time has gone by since the last
FORMAT = "boxstrap training checkpoint 1"


class Checkpointer:
    """Saves on the main process alone."""

    def __init__(self, context: TrainingContext, state: TrainingState, budget: TimeBudget, history: History) -> None:
        self._context = context
        self._state = state
        self._budget = budget
        self._history = history
        self._saved_s, self._saving_s = budget.now_s(), 0.0

    def after_step(self, optimizer: Optimizer) -> None:
        """Saves where this step ends an epoch, or where the last checkpoint is old."""
        elapsed_s = self._budget.now_s() - self._saved_s
        ends_epoch = self._state.step % self._context.steps_per_epoch == 0
        if elapsed_s >= CHECKPOINT_S or (ends_epoch and elapsed_s >= CHECKPOINT_SHARE * self._saving_s):
            self.save(optimizer)

    def save(self, optimizer: Optimizer) -> None:
        """Replaces the checkpoint by the training as it is now."""
        if not self._context.peers.is_main:
            return
        start_s = self._budget.now_s()
        values = {
            "config": self._context.config.to_dict(),
            "identity": dict(self._context.identity),
            **asdict(self._context.initialization),
            "elapsed_s": start_s,
            "history_lines": self._history.lines,
            "run": self._state.to_dict(),
            "weights": self._context.method.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        save_checkpoint(self._context.folder, values)
        self._saved_s = self._budget.now_s()
        self._saving_s = self._saved_s - start_s

    def restore(self, optimizer: Optimizer, checkpoint: Mapping[str, Any]) -> None:
        """Loads weights and optimiser; CheckpointError where they are those of another network."""
        try:
            self._context.method.load_state_dict(checkpoint["weights"])
            optimizer.load_state_dict(checkpoint["optimizer"])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(
                f"The checkpoint in {self._context.folder} does not fit this training ({reason}); "
                "train into another folder."
            ) from error


def save_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Replaces the folder's checkpoint by `state`: tensors, numbers, texts, lists and dicts."""
    # Serialised in memory first: an error of the disk then reaches us as what it is.
    content = io.BytesIO()
    torch.save({"format": FORMAT, **state}, content)
    write_whole(folder / CHECKPOINT, content.getbuffer())


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The state that `save_checkpoint` was given, on the CPU; CheckpointError where there is none or it is torn."""
    path = folder / CHECKPOINT
    if not path.is_file():
        raise MissingCheckpointError(f"There is no checkpoint in {folder} to resume; begin the training anew.")
    return _read_checkpoint(path)


def remove_checkpoint(folder: Path) -> None:
    """Removes the checkpoint of a training that has finished."""
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
    except Exception as error:  # it raises almost anything on a torn or foreign file
        raise CheckpointError(
            f"{path} is torn or not ours ({type(error).__name__}); train into another folder."
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this program; train into another folder.")
    return state
