"""`fit` on real files: from images to a model folder, resumed, refused, with odd images and few of them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import mobilenet_v2

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG, draw, same
from wsol_core.data.batch import Batch
from wsol_core.data.transforms import Augmentation
from wsol_core.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    MissingCheckpointError,
    StorageError,
    TrainingCancelled,
)
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import CHECKPOINT, HISTORY, load_model
from wsol_core.localization.thresholds import RULE_WITH_BOXES, RULE_WITHOUT_BOXES
from wsol_core.methods.base import LossTerms, WsolMethod
from wsol_core.methods.boxstrap import Boxstrap
from wsol_core.methods.ornet import OrNet
from wsol_core.records import Sample
from wsol_core.training.calibration import pick
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.fit import fit
from wsol_core.training.progress import Progress, TrainingHooks


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return draw(tmp_path, 12)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_model(folder)[0].state_dict())


def stop_after(steps: int) -> TrainingHooks:
    seen: list[Progress] = []
    return TrainingHooks(on_progress=seen.append, should_stop=lambda: len(seen) >= steps)


def watch_steps(
    monkeypatch: pytest.MonkeyPatch, method: type[WsolMethod], look: Callable[[WsolMethod, Batch, str], object]
) -> None:
    """`look` sees every batch that `method` is trained on, and the stage, before the step."""
    step = method.training_step

    def watched(self: WsolMethod, batch: Batch, stage: str, progress: float) -> LossTerms:
        look(self, batch, stage)
        return step(self, batch, stage, progress)

    monkeypatch.setattr(method, "training_step", watched)


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


@pytest.mark.parametrize("method", ["boxstrap", "ornet", "bas", "wsl_bg"])
def test_every_method_trains_and_resumes_exactly(tmp_path: Path, samples: list[Sample], method: str) -> None:
    config = replace(CONFIG, method=method, epochs=3)
    fit(config, samples, CLASSES, tmp_path / "whole")
    with pytest.raises(TrainingCancelled):
        fit(config, samples, CLASSES, tmp_path / "cut", hooks=stop_after(4))
    fit(config, samples, CLASSES, tmp_path / "cut", resume=True)
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


@pytest.mark.parametrize(("method", "frozen"), [(Boxstrap, "coarse"), (OrNet, "evaluator")])
def test_what_stage_localize_freezes_keeps_its_batchnorm_statistics(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch, method: type[WsolMethod], frozen: str
) -> None:
    seen: set[tuple[str, bool]] = set()
    watch_steps(monkeypatch, method, lambda trained, _, stage: seen.add((stage, getattr(trained, frozen).training)))
    fit(replace(CONFIG, method=method.__name__.lower()), samples, CLASSES, tmp_path / "model")
    assert seen == {("classify", True), ("localize", False)}


def test_images_are_varied_as_the_method_says(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    watch_steps(monkeypatch, Boxstrap, lambda _, batch, __: seen.append(batch.images[:, :, ::8, ::8]))
    monkeypatch.setattr(Boxstrap, "augmentation", Augmentation(margin_px=0, mirror=0.0, jitter=0.0))
    fit(replace(CONFIG, method="boxstrap"), samples[:2], CLASSES, tmp_path / "model")
    assert len(seen) > 1
    assert len({tuple(image.flatten().tolist()) for image in torch.cat(seen)}) <= 2  # as many as there are files


def test_a_training_goes_on_as_pretrained_without_the_weights_it_began_from(
    tmp_path: Path, samples: list[Sample], caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(CONFIG, backbone="mobilenet_v2", epochs=3)
    torch.manual_seed(0)
    torch.save(mobilenet_v2().state_dict(), tmp_path / "mobilenet_v2.pt")
    fit(config, samples, CLASSES, tmp_path / "whole", weights_dir=tmp_path)
    with pytest.raises(TrainingCancelled):
        fit(config, samples, CLASSES, tmp_path / "cut", weights_dir=tmp_path, hooks=stop_after(4))
    (tmp_path / "mobilenet_v2.pt").unlink()
    fit(config, samples, CLASSES, tmp_path / "cut", resume=True)
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert "from scratch" not in caplog.text


def test_the_number_of_threads_that_decode_changes_nothing(tmp_path: Path, samples: list[Sample]) -> None:
    fit(CONFIG, samples, CLASSES, tmp_path / "a")
    fit(replace(CONFIG, workers=2), samples, CLASSES, tmp_path / "b")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_the_callers_random_numbers_are_neither_used_nor_moved(tmp_path: Path, samples: list[Sample]) -> None:
    torch.manual_seed(5)
    fit(CONFIG, samples, CLASSES, tmp_path / "a")
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
    fit(CONFIG, samples, CLASSES, tmp_path / "b")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_a_resumed_training_keeps_its_length_whatever_is_said_now(tmp_path: Path, samples: list[Sample]) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    card = fit(replace(CONFIG, epochs=None), samples, CLASSES, tmp_path / "model", resume=True)
    assert (card.config.epochs, card.metrics["train_steps"]) == (2, 4)


def test_resuming_a_finished_training_gives_its_card_back(tmp_path: Path, samples: list[Sample]) -> None:
    card = fit(CONFIG, samples, CLASSES, tmp_path / "model")
    before = (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns
    assert fit(CONFIG, samples, CLASSES, tmp_path / "model", resume=True) == card
    assert (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns == before


def test_a_started_folder_is_never_overwritten(tmp_path: Path, samples: list[Sample]) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    with pytest.raises(ConfigError, match="resume"):
        fit(CONFIG, samples, CLASSES, tmp_path / "model")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        fit(CONFIG, samples, CLASSES, tmp_path / "file")


def test_resuming_where_nothing_was_started_says_how_to_start(tmp_path: Path, samples: list[Sample]) -> None:
    with pytest.raises(MissingCheckpointError, match="begin the training anew"):
        fit(CONFIG, samples, CLASSES, tmp_path / "model", resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, s: (replace(c, batch_size=2), s, CLASSES), "batch_size 4, not 2"),
        (lambda c, s: (c, s[:-1], CLASSES), "pictures are not those"),
        (lambda c, s: (c, s, ("red", "blue")), "classes are not those"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    tmp_path: Path, samples: list[Sample], change: Callable[..., Any], message: str
) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    config, images, classes = change(CONFIG, samples)
    with pytest.raises(CheckpointError, match=message):
        fit(config, images, classes, tmp_path / "model", resume=True)


def test_a_torn_checkpoint_is_refused(tmp_path: Path, samples: list[Sample]) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    path = tmp_path / "model" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="torn"):
        fit(CONFIG, samples, CLASSES, tmp_path / "model", resume=True)


def test_a_disk_that_fills_up_at_the_very_end_costs_no_training(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).suffix == ".safetensors":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="No space left"):
        fit(CONFIG, samples, CLASSES, tmp_path / "model")
    monkeypatch.undo()
    seen: list[Progress] = []
    fit(CONFIG, samples, CLASSES, tmp_path / "model", resume=True, hooks=TrainingHooks(on_progress=seen.append))
    assert seen == []
    assert (tmp_path / "model" / "model.json").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: ([], CLASSES), "no images to train on"),
        (lambda s: (s, ("blue",)), "'red', which is not among blue"),
        (lambda s: (s, (*CLASSES, "zebra")), "'zebra' has no images"),
        (lambda s: ([replace(s[0], labels=()), *s[1:]], CLASSES), "has no class"),
    ],
)
def test_images_that_cannot_be_trained_on_are_refused_before_anything_is_written(
    tmp_path: Path, samples: list[Sample], change: Callable[..., Any], message: str
) -> None:
    images, classes = change(samples)
    with pytest.raises(DataError, match=message):
        fit(CONFIG, images, classes, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_one_image_of_one_class_trains(tmp_path: Path, samples: list[Sample]) -> None:
    card = fit(replace(CONFIG, epochs=1), samples[:1], ("blue",), tmp_path / "model")
    assert "holdout_pictures" not in card.metrics
    assert card.classes == ("blue",)


def test_images_of_several_classes_make_a_multi_label_model(tmp_path: Path, samples: list[Sample]) -> None:
    both = [replace(samples[0], labels=CLASSES), *samples[1:]]
    assert fit(replace(CONFIG, epochs=1), both, CLASSES, tmp_path / "model").multi_label


def test_an_unreadable_image_is_left_out(tmp_path: Path, samples: list[Sample]) -> None:
    samples[0].path.write_bytes(b"torn")
    samples[1].path.unlink()
    assert isinstance(fit(CONFIG, samples, CLASSES, tmp_path / "model"), ModelCard)


def test_corrected_regions_decide_the_thresholds_and_true_boxes_never_do(tmp_path: Path) -> None:
    boxed = draw(tmp_path, 12, boxed=True)
    card = fit(CONFIG, boxed, CLASSES, tmp_path / "boxed")
    assert card.threshold_rule == RULE_WITH_BOXES
    assert set(card.class_thresholds) == set(CLASSES)
    assert (card.score_scale, card.score_shift) != (1.0, 0.0)
    measured_only = [replace(sample, regions=(), truth=sample.regions) for sample in boxed]
    weak = fit(CONFIG, measured_only, CLASSES, tmp_path / "weak")
    assert (weak.threshold_rule, weak.score_scale, weak.score_shift) == (RULE_WITHOUT_BOXES, 1.0, 0.0)


def test_the_images_for_the_threshold_are_the_same_in_any_order(samples: list[Sample]) -> None:
    assert pick(samples, 5) == pick(samples[::-1], 5)
    assert len(pick(samples, 5)) == 5


def test_minutes_bound_the_whole_training(tmp_path: Path, samples: list[Sample]) -> None:
    card = fit(replace(CONFIG, epochs=None, minutes=0.2), samples, CLASSES, tmp_path / "model")
    assert card.metrics["train_seconds"] < 24  # half of it for other processes on the same cores
    assert card.metrics["train_steps"] > 5


def test_the_checkpoint_holds_the_settings(tmp_path: Path, samples: list[Sample]) -> None:
    with pytest.raises(TrainingCancelled):
        fit(CONFIG, samples, CLASSES, tmp_path / "model", hooks=stop_after(1))
    assert load_checkpoint(tmp_path / "model")["config"] == CONFIG.to_dict()
