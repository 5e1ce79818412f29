"""Whether a training begins or goes on, and whether the checkpoint it would go on from is its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsol_core.config import TrainConfig
from wsol_core.errors import CheckpointError, ConfigError, TrainingExistsError
from wsol_core.localization.model_folder import is_finished, is_started
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.training_data import TrainingData

# Settings that may differ when a training goes on: where and how fast it runs. Its length is in its plan.
MAY_CHANGE = frozenset({"device", "workers", "epochs", "minutes", "brief"})


def checkpoint_to_resume(out: Path, resume: bool) -> dict[str, Any] | None:
    """The checkpoint in `out`; None where the training begins, or has finished already.

    Raises: ConfigError where `out` is a file; TrainingExistsError where it holds a training that is not to be resumed;
        CheckpointError where there is no checkpoint to resume, or it is torn.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; name a folder for the model.")
    if resume:
        return None if is_finished(out) else load_checkpoint(out)
    if is_started(out):
        raise TrainingExistsError(f"{out} already holds a training; resume it, or name another folder.")
    return None


def identity(data: TrainingData, processes: int) -> dict[str, Any]:
    """What a resumed training has to have in common with the interrupted one, besides the settings."""
    return {"pictures": data.digest(), "classes": list(data.classes), "processes": processes}


def resumed_config(
    config: TrainConfig, identity: Mapping[str, Any], checkpoint: Mapping[str, Any], out: Path
) -> TrainConfig:
    """`config` with the length of the interrupted training; CheckpointError where they do not belong together."""
    before, now = TrainConfig.from_dict(checkpoint.get("config", {})).to_dict(), config.to_dict()
    for name, value in now.items():
        if name not in MAY_CHANGE and value != before.get(name):
            raise CheckpointError(
                f"The training in {out} has {name} {before.get(name)!r}, not {value!r}; "
                "resume with the same settings, or train into another folder."
            )
    known = checkpoint.get("identity", {})
    for name, value in identity.items():
        if known.get(name) != value:
            raise CheckpointError(
                f"The {name} are not those of the interrupted training in {out}; train into another folder."
            )
    epochs, minutes, brief = before.get("epochs"), before.get("minutes"), bool(before.get("brief"))
    return replace(config, epochs=epochs, minutes=minutes, brief=brief)
