"""The model that comes out: its thresholds, its files, and a disk that is full at the very end."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG, draw
from wsol_core.errors import StorageError
from wsol_core.localization.model_folder import read_card
from wsol_core.localization.thresholds import RULE_WITH_BOXES, RULE_WITHOUT_BOXES
from wsol_core.records import Sample
from wsol_core.training.calibration import EXPECTED_OF_CENTRES, EXPECTED_OF_PARTS
from wsol_core.training.fit import fit
from wsol_core.training.progress import Progress, TrainingHooks


def test_a_disk_that_fills_up_at_the_very_end_costs_no_training(
    tmp_path: Path, corrected_samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).suffix == ".safetensors":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="No space left"):
        fit(CONFIG, corrected_samples, CLASSES, tmp_path / "model")
    monkeypatch.undo()
    seen: list[Progress] = []
    fit(
        CONFIG,
        corrected_samples,
        CLASSES,
        tmp_path / "model",
        resume=True,
        hooks=TrainingHooks(on_progress=seen.append),
    )
    assert seen == []
    assert (tmp_path / "model" / "model.json").is_file()


@pytest.mark.slow
def test_corrected_regions_decide_the_thresholds_and_true_boxes_never_do(tmp_path: Path) -> None:
    boxed = draw(tmp_path, 12, boxed=True)
    card = fit(CONFIG, boxed, CLASSES, tmp_path / "boxed")
    assert card.threshold_rule == RULE_WITH_BOXES
    assert set(card.class_thresholds) == set(CLASSES)
    assert card.accept not in (EXPECTED_OF_PARTS.accept, EXPECTED_OF_CENTRES.accept)
    measured_only = [replace(sample, regions=(), truth=sample.regions) for sample in boxed]
    weak = fit(CONFIG, measured_only, CLASSES, tmp_path / "weak")
    assert weak.threshold_rule == RULE_WITHOUT_BOXES


@pytest.mark.slow
def test_the_card_of_a_training_that_was_too_short_says_so(tmp_path: Path, samples: list[Sample]) -> None:
    card = fit(CONFIG, samples, CLASSES, tmp_path / "model")
    assert card.metrics["enough_steps"] == 0
    fault = card.faults[0]  # it may have collapsed, too
    assert "steps of stage classify are not enough for" in fault and "200 would do" in fault
    assert read_card(tmp_path / "model").faults == card.faults
