"""Trainings that begin with a finished model: classes by name, length, resuming, and models that do not fit."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG, same, stop_after, weights
from wsol_core.config import TrainConfig
from wsol_core.errors import TrainingCancelled
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import HISTORY, save_model
from wsol_core.methods.base import WsolMethod
from wsol_core.methods.build import build_method
from wsol_core.records import Sample
from wsol_core.registry import BUILT_IN
from wsol_core.training.fit import fit
from wsol_core.training.history import read_history
from wsol_core.training.warm_start import WarmStart, read_warm_start

OLD = ("blue", "green", "red")


def saved(folder: Path, config: TrainConfig = CONFIG, pretrained: float | None = 0.0) -> Path:
    """A finished model of nobody's training; its card does not tell how it began where `pretrained` is None."""
    torch.manual_seed(9)
    metrics = {} if pretrained is None else {"pretrained": pretrained}
    card = ModelCard(config, CLASSES, False, 0.5, "a guess", metrics=metrics)
    save_model(folder, build_method(config.method, config.backbone, len(CLASSES), multi_label=False), card)
    return folder


def build(name: str, classes: int, seed: int) -> WsolMethod:
    """A method whose statistics and multipliers are not those that it begins with."""
    torch.manual_seed(seed)
    method = build_method(name, "tiny", classes, multi_label=False)
    for buffer in method.buffers():
        if buffer.is_floating_point():
            buffer.add_(torch.rand_like(buffer))
    return method.eval()


def begun_with(old: WsolMethod, config: TrainConfig, before: tuple[str, ...], now: tuple[str, ...]) -> WsolMethod:
    method = build(config.method, len(now), seed=1)
    WarmStart("old", old.state_dict(), before, False).load_into(method, config, now)
    return method


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("now", [OLD, ("red", "blue"), ("white", "red", "black", "blue"), ("green",), ("white",)])
def test_a_known_class_is_seen_as_before_in_any_company(name: str, now: tuple[str, ...]) -> None:
    config = TrainConfig(method=name, backbone="tiny")
    old = build(name, len(OLD), seed=0)
    new = begun_with(old, config, OLD, now)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = old(images), new(images)
    for label in set(OLD) & set(now):
        a, b = OLD.index(label), now.index(label)
        assert torch.allclose(after.logits[:, b], before.logits[:, a], atol=1e-5)
        maps = (before.maps[:, a], after.maps[:, b]) if before.maps.shape[1] > 1 else (before.maps, after.maps)
        assert torch.allclose(*maps, atol=1e-5)


def test_multipliers_follow_their_classes_and_new_ones_begin_as_ever() -> None:
    config = TrainConfig(method="boxstrap", backbone="tiny")
    old = build("boxstrap", 3, seed=0)
    multiplier = old.state_dict()["area.multiplier"]
    fresh = build("boxstrap", 4, seed=1).state_dict()
    state = begun_with(old, config, OLD, ("white", "red", "blue", "grey")).state_dict()
    expected = [fresh["area.multiplier"][0], multiplier[2], multiplier[0], fresh["area.multiplier"][3]]
    assert torch.equal(state["area.multiplier"], torch.stack(expected))
    assert torch.equal(state["head.weight"][0], fresh["head.weight"][0])


@pytest.mark.parametrize(("now", "known"), [(OLD[::-1], True), (OLD[:1], True), ((*OLD, "white"), False)])
def test_a_model_knows_classes_where_none_is_new(now: tuple[str, ...], known: bool) -> None:
    assert WarmStart("old", {}, OLD, False).knows(now) is known


def test_the_stage_that_a_model_ended_in_is_not_taken_over() -> None:
    old = build("boxstrap", 3, seed=0)
    old.begin_stage("localize")
    new = begun_with(old, TrainConfig(method="boxstrap", backbone="tiny"), OLD, OLD)
    assert not new.state_dict()["localizes"]


@pytest.mark.parametrize(("before", "now"), [(63, 70), (70, 66), (70, 3)])
def test_widths_that_follow_many_classes_are_taken_over_as_far_as_they_go(before: int, now: int) -> None:
    config = TrainConfig(method="ornet", backbone="tiny")
    old = build("ornet", before, seed=0)
    names = tuple(f"class {index}" for index in range(80))
    new = begun_with(old, config, names[:before], names[80 - now :])
    kept, state = old.state_dict(), new.state_dict()
    assert torch.equal(state["generator.u2.0.weight"], kept["generator.u2.0.weight"])
    assert state["generator.u3.0.weight"].shape[0] == max(now, 48)
    assert all(torch.isfinite(value).all() for value in state.values())


@pytest.mark.slow
def test_a_warm_training_begins_with_the_model_and_takes_half_of_the_steps(
    tmp_path: Path, samples: list[Sample], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsol_core.methods.base.ENOUGH_STEPS", 4)
    monkeypatch.setattr("wsol_core.training.fit.examiner", lambda *_: lambda dtype: [])
    config = replace(CONFIG, epochs=6)
    cold = fit(config, samples, CLASSES, tmp_path / "first")
    with caplog.at_level(logging.INFO):
        warm = fit(config, samples, CLASSES[::-1], tmp_path / "second", warm_start=tmp_path / "first")
    assert "begins with the weights of first: 2 of its 2 classes, 0 new" in caplog.text
    assert (cold.metrics["train_steps"], warm.metrics["train_steps"]) == (6 * 2, 3 * 2)
    assert (cold.metrics["warm_start"], warm.metrics["warm_start"]) == (0.0, 1.0)
    assert warm.config == config  # of a training that begins with nothing, for the next version
    first_loss, second_loss = (read_history(tmp_path / name / HISTORY)[0]["losses"] for name in ("first", "second"))
    assert second_loss["classification"] < 0.5 * first_loss["classification"]


@pytest.mark.slow
def test_a_new_class_joins_and_an_old_one_goes(tmp_path: Path, samples: list[Sample]) -> None:
    changed = [replace(sample, labels=("green",)) if sample.labels == ("blue",) else sample for sample in samples]
    card = fit(CONFIG, changed, ("green", "red"), tmp_path / "second", warm_start=saved(tmp_path / "first"))
    assert card.classes == ("green", "red")
    assert card.metrics["warm_start"] == 1.0


@pytest.mark.slow
def test_a_warm_training_goes_on_exactly_without_the_model_it_began_with(tmp_path: Path, samples: list[Sample]) -> None:
    config = replace(CONFIG, method="boxstrap", epochs=6)
    base = saved(tmp_path / "base", config)
    fit(config, samples, CLASSES, tmp_path / "whole", warm_start=base)
    with pytest.raises(TrainingCancelled):
        fit(config, samples, CLASSES, tmp_path / "cut", warm_start=base, hooks=stop_after(3))
    shutil.rmtree(base)
    card = fit(config, samples, CLASSES, tmp_path / "cut", warm_start=base, resume=True)
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert (card.metrics["warm_start"], card.metrics["train_steps"]) == (1.0, 6.0)


@pytest.mark.slow
def test_pretrained_features_stay_pretrained_without_a_weights_file(
    tmp_path: Path, samples: list[Sample], caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(CONFIG, backbone="mobilenet_v2", epochs=1)
    base = saved(tmp_path / "first", replace(config, method="bas"), pretrained=1.0)
    card = fit(replace(config, method="bas"), samples[:4], CLASSES, tmp_path / "second", warm_start=base)
    assert card.metrics["pretrained"] == 1.0
    assert "from scratch" not in caplog.text
    name = "features.0.0.1.running_mean"
    assert torch.equal(weights(tmp_path / "second")[name], weights(base)[name])


@pytest.mark.parametrize(("backbone", "pretrained"), [("tiny", False), ("resnet18", True)])
def test_a_card_that_does_not_tell_is_taken_for_what_was_asked(tmp_path: Path, backbone: str, pretrained: bool) -> None:
    config = replace(CONFIG, backbone=backbone)
    begun_with = read_warm_start(saved(tmp_path / "model", config, pretrained=None), config)
    assert begun_with is not None
    assert begun_with.pretrained is pretrained


def spoiled(folder: Path, fault: str) -> Path:
    if fault == "missing":
        return folder
    model = saved(folder, replace(CONFIG, method="bas") if fault == "another method" else CONFIG)
    if fault == "torn":
        (model / "model.safetensors").write_bytes(b"torn")
    elif fault == "no weights":
        (model / "model.safetensors").unlink()
    elif fault == "not JSON":
        (model / "model.json").write_text("{")
    return model


@pytest.mark.parametrize("fault", ["another method", "missing", "torn", "no weights", "not JSON"])
def test_a_model_that_does_not_fit_is_named(tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    assert read_warm_start(spoiled(tmp_path / "model", fault), CONFIG) is None
    assert f"does not begin with the weights of {tmp_path / 'model'}: " in caplog.text


@pytest.mark.slow
def test_without_a_model_that_fits_training_begins_as_ever(tmp_path: Path, corrected_samples: list[Sample]) -> None:
    card = fit(CONFIG, corrected_samples, CLASSES, tmp_path / "second", warm_start=tmp_path / "missing")
    assert card.metrics["warm_start"] == 0.0
    fit(CONFIG, corrected_samples, CLASSES, tmp_path / "without")
    assert same(weights(tmp_path / "second"), weights(tmp_path / "without"))


@pytest.mark.slow
def test_a_training_that_begins_with_one_that_was_too_short_takes_its_whole_length(
    tmp_path: Path, samples: list[Sample]
) -> None:
    short = fit(CONFIG, samples, CLASSES, tmp_path / "first")
    after = fit(CONFIG, samples, CLASSES, tmp_path / "second", warm_start=tmp_path / "first")
    assert (after.metrics["train_steps"], after.metrics["warm_start"]) == (short.metrics["train_steps"], 1)


@pytest.mark.slow
def test_a_model_that_collapsed_in_spite_of_enough_steps_is_not_begun_with(
    tmp_path: Path, samples: list[Sample], caplog: pytest.LogCaptureFixture
) -> None:
    fit(CONFIG, samples, CLASSES, tmp_path / "first")
    card = json.loads((tmp_path / "first" / "model.json").read_text())
    card |= {"faults": ["The maps are empty."], "metrics": {"collapsed": 1.0, "enough_steps": 1.0}}
    (tmp_path / "first" / "model.json").write_text(json.dumps(card))
    assert read_warm_start(tmp_path / "first", CONFIG) is None
    assert "first: The maps are empty." in caplog.text
    card["metrics"]["enough_steps"] = 0.0
    (tmp_path / "first" / "model.json").write_text(json.dumps(card))
    found = read_warm_start(tmp_path / "first", CONFIG)
    assert found is not None and found.was_short


@pytest.mark.slow
def test_what_begins_with_a_first_look_takes_the_rest_of_the_whole_training(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsol_core.methods.base.ENOUGH_STEPS", 10)
    monkeypatch.setattr("wsol_core.methods.cam.Cam.default_epochs", {"classify": 1})
    monkeypatch.setattr("wsol_core.training.fit.examiner", lambda *_: lambda dtype: [])
    whole = replace(CONFIG, epochs=None)
    brief = fit(replace(whole, brief=True), samples, CLASSES, tmp_path / "first")
    rest = fit(whole, samples, CLASSES, tmp_path / "second", warm_start=tmp_path / "first")
    assert (brief.metrics["train_steps"], rest.metrics["train_steps"]) == (3, 7)
    assert not any("not enough" in fault for fault in (*brief.faults, *rest.faults))
