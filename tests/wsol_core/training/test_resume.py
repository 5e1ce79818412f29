"""Which trainings go on, which begin, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG, stop_after
from wsol_core.errors import CheckpointError, ConfigError, MissingCheckpointError, TrainingCancelled
from wsol_core.localization.model_folder import CHECKPOINT
from wsol_core.records import Sample
from wsol_core.training.checkpoint import resume_config
from wsol_core.training.fit import fit


def test_a_resumed_training_keeps_its_length_whatever_is_said_now(
    tmp_path: Path, corrected_samples: list[Sample]
) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    card = fit(replace(CONFIG, epochs=None), corrected_samples, CLASSES, tmp_path / "model", resume=True)
    assert (card.config.epochs, card.metrics["train_steps"]) == (2, 4)


def test_resuming_a_finished_training_gives_its_card_back(tmp_path: Path, corrected_samples: list[Sample]) -> None:
    card = fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model")
    before = (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns
    assert fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model", resume=True) == card
    assert (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns == before


def test_a_started_folder_is_never_overwritten(tmp_path: Path, corrected_samples: list[Sample]) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    with pytest.raises(ConfigError, match="resume"):
        fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        fit(CONFIG, corrected_samples, CLASSES, tmp_path / "file")


def test_resuming_where_nothing_was_started_says_how_to_start(tmp_path: Path, corrected_samples: list[Sample]) -> None:
    with pytest.raises(MissingCheckpointError, match="begin the training anew"):
        fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model", resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, s: (replace(c, batch_size=2), s, CLASSES), "batch_size 4, not 2"),
        (lambda c, s: (c, s[:-1], CLASSES), "pictures are not those"),
        (lambda c, s: (c, s, ("red", "blue")), "classes are not those"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    tmp_path: Path, corrected_samples: list[Sample], change: Callable[..., Any], message: str
) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    config, images, classes = change(CONFIG, corrected_samples)
    with pytest.raises(CheckpointError, match=message):
        fit(config, images, classes, tmp_path / "model", resume=True)


def test_a_torn_checkpoint_is_refused(tmp_path: Path, corrected_samples: list[Sample]) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    path = tmp_path / "model" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="torn"):
        fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model", resume=True)


def test_the_settings_of_a_training_are_those_of_its_checkpoint_or_model(
    tmp_path: Path, corrected_samples: list[Sample]
) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    assert resume_config(tmp_path / "model") == CONFIG
    fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model", resume=True)
    assert resume_config(tmp_path / "model") == CONFIG
