"""Files of a model folder: whole or not at all, and clear words about what is wrong with them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from tests.wsol_core.training.training_doubles import same
from wsol_core.config import TrainConfig
from wsol_core.errors import CheckpointError, StorageError, UnfinishedTrainingError
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import (
    CARD,
    CHECKPOINT,
    check_model,
    is_finished,
    is_started,
    load_model,
    read_card,
    save_model,
)
from wsol_core.methods.base import WsolMethod
from wsol_core.methods.build import build_method

CONFIG = TrainConfig(method="cam", backbone="tiny", epochs=1)


def make_model(classes: tuple[str, ...] = ("cat", "dog")) -> tuple[WsolMethod, ModelCard]:
    torch.manual_seed(1)
    method = build_method("cam", "tiny", len(classes), False)
    return method, ModelCard(CONFIG, classes, False, 0.4, "chosen by hand")


def refuse(*arguments: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_model_folder_gives_back_weights_and_card(tmp_path: Path) -> None:
    method, card = make_model()
    assert not is_started(tmp_path)
    save_model(tmp_path, method, card)
    loaded, loaded_card = load_model(tmp_path)
    assert same(dict(loaded.state_dict()), dict(method.state_dict()))
    assert loaded_card == card
    assert not loaded.training
    assert is_finished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.json"}


def test_the_card_is_written_last_so_that_a_full_disk_leaves_no_half_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError):
        save_model(tmp_path, *make_model())
    assert not is_finished(tmp_path)


def test_what_is_wrong_with_a_model_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no model folder"):
        load_model(tmp_path / "missing")
    with pytest.raises(CheckpointError, match="no finished model"):
        load_model(tmp_path)
    (tmp_path / CHECKPOINT).touch()
    with pytest.raises(UnfinishedTrainingError, match="resume it"):
        load_model(tmp_path)
    (tmp_path / CARD).write_text("{")
    with pytest.raises(CheckpointError, match=r"model\.json cannot be read"):
        read_card(tmp_path)


def test_missing_torn_and_unfitting_weights_are_told_apart(tmp_path: Path) -> None:
    method, card = make_model()
    save_model(tmp_path, method, card)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    with pytest.raises(CheckpointError, match="is torn"):
        load_model(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError, match="no weights"):
        load_model(tmp_path)
    save_model(tmp_path, method, make_model(("cat", "cow", "dog"))[1])
    with pytest.raises(CheckpointError, match="does not fit cam on tiny"):
        load_model(tmp_path)


def test_weights_that_changed_since_they_were_written_are_refused(tmp_path: Path) -> None:
    method, card = make_model()
    save_model(tmp_path, method, card)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    begin = 8 + int.from_bytes(whole[:8], "little")
    for place in (begin, begin + (len(whole) - begin) // 2, len(whole) - 1):
        weights.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged: its checksum"):
            load_model(tmp_path)
    weights.write_bytes(whole)
    check_model(tmp_path)


def test_weights_without_a_checksum_open_as_they_always_have(tmp_path: Path) -> None:
    method, card = make_model()
    save_model(tmp_path, method, card)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(safetensors.torch.save(safetensors.torch.load(weights.read_bytes())))
    assert same(load_model(tmp_path)[0].state_dict(), method.state_dict())


def test_weights_that_are_larger_than_their_header_says_are_refused_before_they_are_read(tmp_path: Path) -> None:
    save_model(tmp_path, *make_model())
    os.truncate(tmp_path / "model.safetensors", 2**43)  # a hole
    with pytest.raises(CheckpointError, match=r"8,796,093,022,208 bytes, not"):
        check_model(tmp_path)


@pytest.mark.parametrize("header", [b"{}", b"[]", b'{"a": 7}', b'{"a": {"data_offsets": "x"}}', b"[" * 100_000])
def test_a_header_that_means_nothing_is_refused(tmp_path: Path, header: bytes) -> None:
    save_model(tmp_path, *make_model())
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError):
        load_model(tmp_path)
