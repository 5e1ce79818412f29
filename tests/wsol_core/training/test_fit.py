"""`fit` on real files: from images to a model folder, with every method, odd images and few of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG, same, stop_after, weights
from wsol_core.data.batch import Batch
from wsol_core.data.transforms import Augmentation
from wsol_core.errors import CheckpointError, ConfigError, TrainingCancelled
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import HISTORY, load_model
from wsol_core.localization.thresholds import RULE_WITHOUT_BOXES
from wsol_core.methods.base import LossTerms, WsolMethod
from wsol_core.methods.boxstrap import Boxstrap
from wsol_core.methods.ornet import OrNet
from wsol_core.records import Sample
from wsol_core.training.fit import fit


def watch_steps(
    monkeypatch: pytest.MonkeyPatch, method: type[WsolMethod], look: Callable[[WsolMethod, Batch, str], object]
) -> None:
    """`look` sees every batch that `method` is trained on, and the stage, before the step."""
    step = method.training_step

    def watched(self: WsolMethod, batch: Batch, stage: str, progress: float) -> LossTerms:
        look(self, batch, stage)
        return step(self, batch, stage, progress)

    monkeypatch.setattr(method, "training_step", watched)


@pytest.mark.slow
def test_a_model_folder_comes_out_with_its_card_and_history(tmp_path: Path, samples: list[Sample]) -> None:
    card = fit(CONFIG, samples, CLASSES, tmp_path / "model")
    method, loaded = load_model(tmp_path / "model")
    assert loaded == card
    assert (card.classes, card.multi_label, method.num_classes) == (CLASSES, False, 2)
    assert 0 < card.threshold < 1
    assert card.threshold_rule == RULE_WITHOUT_BOXES
    assert card.metrics["train_pictures"] == 10  # one of six is held out of either class
    assert card.metrics["holdout_pictures"] == 2
    assert card.metrics["train_steps"] == 2 * round(10 / 4)
    lines = [json.loads(line) for line in (tmp_path / "model" / HISTORY).read_text().splitlines()]
    assert any("validation" in line for line in lines)
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"model.safetensors", "model.json", HISTORY}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["boxstrap", "ornet", "bas", "wsl_bg"])
def test_every_method_trains_and_resumes_exactly(tmp_path: Path, samples: list[Sample], method: str) -> None:
    config = replace(CONFIG, method=method, epochs=3)
    fit(config, samples, CLASSES, tmp_path / "whole")
    with pytest.raises(TrainingCancelled):
        fit(config, samples, CLASSES, tmp_path / "cut", hooks=stop_after(4))
    fit(config, samples, CLASSES, tmp_path / "cut", resume=True)
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


@pytest.mark.slow
@pytest.mark.parametrize(("method", "frozen"), [(Boxstrap, "coarse"), (OrNet, "evaluator")])
def test_what_stage_localize_freezes_keeps_its_batchnorm_statistics(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch, method: type[WsolMethod], frozen: str
) -> None:
    seen: set[tuple[str, bool]] = set()
    watch_steps(monkeypatch, method, lambda trained, _, stage: seen.add((stage, getattr(trained, frozen).training)))
    fit(replace(CONFIG, method=method.__name__.lower()), samples, CLASSES, tmp_path / "model")
    assert seen == {(stage, stage in ("evaluator", "classify")) for stage in method.stages}


@pytest.mark.slow
def test_options_reach_the_training_the_card_and_a_resumed_training(tmp_path: Path, samples: list[Sample]) -> None:
    options = {"stage_epochs": [0, 2, 3], "warmup": 0, "clip_norm": 0, "erasing": "none"}
    config = replace(CONFIG, method="ornet", epochs=None, holdout=0.0, options=options)
    card = fit(config, samples, CLASSES, tmp_path / "whole")
    steps = [json.loads(line) for line in (tmp_path / "whole" / HISTORY).read_text().splitlines()]
    assert {line["stage"] for line in steps} == {"classify", "localize"}
    assert card.metrics["train_steps"] == (2 + 3) * round(12 / 4)
    method, loaded = load_model(tmp_path / "whole")
    assert loaded.config.options == options
    assert isinstance(method, OrNet) and method.options.erasing == "none"
    with pytest.raises(TrainingCancelled):
        fit(config, samples, CLASSES, tmp_path / "cut", hooks=stop_after(8))
    with pytest.raises(CheckpointError, match="options"):
        fit(replace(config, options={}), samples, CLASSES, tmp_path / "cut", resume=True)
    fit(config, samples, CLASSES, tmp_path / "cut", resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_an_option_without_meaning_is_named_before_any_image_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Method cam has no option 'alpha'"):
        fit(replace(CONFIG, options={"alpha": 1}), [], CLASSES, tmp_path / "model")


def test_images_are_varied_as_the_method_says(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    watch_steps(monkeypatch, Boxstrap, lambda _, batch, __: seen.append(batch.images[:, :, ::8, ::8]))
    monkeypatch.setattr(Boxstrap, "augmentation", Augmentation(margin_px=0, mirror=0.0, jitter=0.0))
    fit(replace(CONFIG, method="boxstrap"), samples[:2], CLASSES, tmp_path / "model")
    assert len(seen) > 1
    assert len({tuple(image.flatten().tolist()) for image in torch.cat(seen)}) <= 2  # as many as there are files


@pytest.mark.slow
def test_the_number_of_threads_that_decode_changes_nothing(tmp_path: Path, corrected_samples: list[Sample]) -> None:
    fit(CONFIG, corrected_samples, CLASSES, tmp_path / "a")
    fit(replace(CONFIG, workers=2), corrected_samples, CLASSES, tmp_path / "b")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_the_callers_random_numbers_are_neither_used_nor_moved(tmp_path: Path, corrected_samples: list[Sample]) -> None:
    torch.manual_seed(5)
    fit(CONFIG, corrected_samples, CLASSES, tmp_path / "a")
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
    fit(CONFIG, corrected_samples, CLASSES, tmp_path / "b")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_one_image_of_one_class_trains(tmp_path: Path, samples: list[Sample]) -> None:
    card = fit(replace(CONFIG, epochs=1), samples[:1], ("blue",), tmp_path / "model")
    assert "holdout_pictures" not in card.metrics
    assert card.classes == ("blue",)


@pytest.mark.slow
def test_images_of_several_classes_make_a_multi_label_model(tmp_path: Path, samples: list[Sample]) -> None:
    both = [replace(samples[0], labels=CLASSES), *samples[1:]]
    assert fit(replace(CONFIG, epochs=1), both, CLASSES, tmp_path / "model").multi_label


@pytest.mark.slow
def test_an_unreadable_image_is_left_out(tmp_path: Path, samples: list[Sample]) -> None:
    samples[0].path.write_bytes(b"torn")
    samples[1].path.unlink()
    assert isinstance(fit(CONFIG, samples, CLASSES, tmp_path / "model"), ModelCard)


@pytest.mark.slow
def test_minutes_bound_the_whole_training(tmp_path: Path, corrected_samples: list[Sample]) -> None:
    card = fit(replace(CONFIG, epochs=None, minutes=0.1), corrected_samples, CLASSES, tmp_path / "model")
    assert card.metrics["train_seconds"] < 12  # half of it for other processes on the same cores
    assert card.metrics["train_steps"] > 5
