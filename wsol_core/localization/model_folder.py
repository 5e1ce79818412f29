"""The files of a model folder, each replaced whole or not at all; reads and writes the finished model.

    checkpoint.pt       the whole training state, while training
    model.safetensors   the weights, with a checksum that loading verifies
    model.json          the ModelCard; its presence says that the training has finished
    history.jsonl       losses over time, written by the training

The checkpoint is read and written by training/checkpoint.py.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from wsol_core.errors import CheckpointError, ConfigError, UnfinishedTrainingError
from wsol_core.files import write_whole
from wsol_core.localization.model_card import ModelCard
from wsol_core.methods.base import WsolMethod
from wsol_core.methods.build import build_method

CHECKPOINT, WEIGHTS, CARD, HISTORY = "checkpoint.pt", "model.safetensors", "model.json", "history.jsonl"
LARGEST_HEADER_BYTES = 100_000_000  # that safetensors reads
CHECKSUM = "boxstrap-checksum"  # in the header of the weights


def is_finished(folder: Path) -> bool:
    """Whether the folder holds a model whose training has ended."""
    return (folder / CARD).is_file()


def is_started(folder: Path) -> bool:
    """Whether the folder holds a training's checkpoint or model."""
    return any((folder / name).exists() for name in (CHECKPOINT, WEIGHTS, CARD))


def save_model(folder: Path, method: WsolMethod, card: ModelCard) -> None:
    """Writes weights and card for prediction; the card last, since it says that the model is whole."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in method.state_dict().items()}
    write_whole(folder / WEIGHTS, _with_checksum(tensors))
    write_whole(folder / CARD, (json.dumps(card.to_dict(), indent=2, ensure_ascii=False) + "\n").encode())


def read_card(folder: Path) -> ModelCard:
    """The model's card; CheckpointError says what is wrong with the folder."""
    path = folder / CARD
    if not folder.is_dir():
        raise CheckpointError(f"There is no model folder {folder}; name the folder that training wrote to.")
    if not path.is_file():
        if (folder / CHECKPOINT).is_file():
            raise UnfinishedTrainingError(
                f"{folder} holds no finished model (no {CARD}), since its training has not finished; resume it."
            )
        raise CheckpointError(f"{folder} holds no finished model (no {CARD}); name a folder that training wrote.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}; train the model again.") from error
    return ModelCard.from_dict(values)


def load_model(folder: Path, device: str = "cpu") -> tuple[WsolMethod, ModelCard]:
    """The finished model of a folder, in evaluation mode and channels_last on `device`, with its card."""

    card = read_card(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{folder} has a card but no weights ({WEIGHTS}); copy the whole folder.")
    tensors = _read_weights(path)
    config = card.config
    try:
        method = build_method(
            config.method, config.backbone, len(card.classes), card.multi_label, options=config.options
        )
    except ConfigError as error:
        raise CheckpointError(f"The model in {folder} cannot be built: {error}") from error
    try:
        method.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"{path} does not fit {config.method} on {config.backbone}: {reason}") from error
    return method.to(torch.device(device)).to(memory_format=torch.channels_last).eval(), card


def check_model(folder: Path) -> None:
    """Raise CheckpointError unless the folder holds a finished model, its weights as they were written."""
    read_card(folder)
    _read_weights(folder / WEIGHTS)


def _with_checksum(tensors: dict[str, Tensor]) -> bytes:
    """The file of the tensors, with a checksum of them in its header."""
    return safetensors.torch.save(tensors, {CHECKSUM: _checksum(safetensors.torch.save(tensors))})


def _checksum(content: bytes) -> str:
    """The checksum of the tensors in a safetensors file: of their names, types and shapes, and of all their bytes."""
    begin = 8 + int.from_bytes(content[:8], "little")
    tensors = {name: value for name, value in json.loads(content[8:begin]).items() if name != "__metadata__"}
    digest = hashlib.sha256(json.dumps(tensors, sort_keys=True).encode())
    digest.update(memoryview(content)[begin:])
    return f"sha256:{digest.hexdigest()}"


def _require_its_size(path: Path) -> None:
    """Raise ValueError unless the file is as large as its header says, before all of it is read into memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        if header_bytes > LARGEST_HEADER_BYTES:
            raise ValueError("it has no header")
        header = json.loads(file.read(header_bytes))
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    if (said := 8 + header_bytes + max(ends, default=0)) != size:
        raise ValueError(f"it has {size:,} bytes, not {said:,}")


def _read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors; those of files from before there were checksums are not verified."""
    try:
        _require_its_size(path)
        content = path.read_bytes()
        tensors = dict(safetensors.torch.load(content))
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        written = header.get("__metadata__", {}).get(CHECKSUM)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{path} is torn or cannot be read ({error}); train the model again.") from error
    if written is not None and written != _checksum(content):
        raise CheckpointError(
            f"{path} is damaged: its checksum is another than when it was written. Restore it from a backup, or train "
            "the model again."
        )
    return tensors
