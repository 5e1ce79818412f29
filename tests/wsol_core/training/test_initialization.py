"""The method that a training begins with, or goes on with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchvision.models import mobilenet_v2

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG, CPU, same, stop_after, weights
from wsol_core.errors import TrainingCancelled
from wsol_core.methods.base import WsolMethod
from wsol_core.records import Sample
from wsol_core.training.fit import fit
from wsol_core.training.initialization import Initialization, initial_method, resumed_method
from wsol_core.training.schedule import WARM_SHARE
from wsol_core.training.training_data import prepare_data


def test_a_fresh_method_depends_on_the_seed_alone(samples: list[Sample]) -> None:
    data = prepare_data(samples, CLASSES, 0.1)
    methods = []
    for seed, drawn in ((1, 0), (1, 7), (2, 0)):
        torch.rand(drawn)
        method, initialization = initial_method(replace(CONFIG, seed=seed), data, None, None, CPU)
        assert initialization == Initialization()
        methods.append(method.state_dict())
    assert same(methods[0], methods[1])
    assert not same(methods[0], methods[2])


def test_a_resumed_method_is_told_how_it_began(samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr(WsolMethod, "begin_warm", lambda self, knows_classes: told.append(knows_classes))
    data = prepare_data(samples, CLASSES, 0.1)
    method, cold = resumed_method(CONFIG, data, {"pretrained": True}, CPU)
    assert (method.pretrained, cold, told) == (True, Initialization(pretrained=True), [])
    entries = {"pretrained": False, "warm_start": True, "knows_classes": True}
    method, warm = resumed_method(CONFIG, data, entries, CPU)
    assert (method.pretrained, warm, told) == (False, Initialization(**entries), [True])


@pytest.mark.slow
def test_a_training_goes_on_as_pretrained_without_the_weights_it_began_from(
    tmp_path: Path, corrected_samples: list[Sample], caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(CONFIG, backbone="mobilenet_v2", epochs=3)
    torch.manual_seed(0)
    torch.save(mobilenet_v2().state_dict(), tmp_path / "mobilenet_v2.pt")
    fit(config, corrected_samples, CLASSES, tmp_path / "whole", weights_dir=tmp_path)
    with pytest.raises(TrainingCancelled):
        fit(config, corrected_samples, CLASSES, tmp_path / "cut", weights_dir=tmp_path, hooks=stop_after(4))
    (tmp_path / "mobilenet_v2.pt").unlink()
    fit(config, corrected_samples, CLASSES, tmp_path / "cut", resume=True)
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert "from scratch" not in caplog.text


def test_a_warm_start_is_shorter_but_where_the_model_before_was_too_short_itself() -> None:
    assert Initialization(pretrained=True).share == 1
    assert Initialization(warm_start=True).share == WARM_SHARE
    assert Initialization(warm_start=True, was_short=True).share == 1
    assert Initialization.of_checkpoint({"warm_start": True, "pretrained": True}).share == WARM_SHARE
