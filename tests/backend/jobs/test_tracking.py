"""Losses, learning rate, validation and pictures, read back by TensorBoard's and MLflow's own readers."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.jobs.tracking import tracked
from tests.wsol_core.exports.exported import image_file
from wsol_core.config import TrainConfig
from wsol_core.errors import ConfigError
from wsol_core.records import Localization, Region, Sample
from wsol_core.training.progress import EpochSamples, TrainingHooks

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")]

CONFIG = TrainConfig(backbone="tiny", epochs=2)
LINES = [
    {"stage": "classify", "epoch": 1, "step": 10, "losses": {"area": 0.5, "entropy": 0.25}, "lr": 0.01},
    {"stage": "classify", "epoch": 1, "step": 20, "losses": {"area": 0.25, "entropy": 0.25}, "lr": 0.005},
    {"stage": "localize", "epoch": 1, "step": 4, "validation": 0.75},
]


def train(kind: str, folder: Path, pictures: Path, hooks: TrainingHooks | None = None) -> None:
    """What a training tells."""
    mask = np.zeros((90, 120), np.bool_)
    mask[20:40, 30:80] = True
    sample = Sample("a.png", image_file(pictures / "a.png"), ("crab",))
    found = Localization("a.png", (120, 90), {"crab": 1.0}, (Region("crab", (30, 20, 80, 40), 0.9, (), mask),))
    with tracked(hooks or TrainingHooks(), kind, folder, "mine", CONFIG) as tracking:
        assert tracking.on_record is not None and tracking.on_samples is not None
        for line in LINES:
            tracking.on_record(line)
        tracking.on_samples(EpochSamples("classify", 1, [(sample, found)], 0.1))


def test_tensorboard_reads_curves_and_pictures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train("tensorboard", tmp_path, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    values = {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert values["classify/loss"] == [(10, 0.75), (20, 0.5)]
    assert values["classify/losses/area"] == [(10, 0.5), (20, 0.25)]
    assert values["classify/lr"] == [(10, pytest.approx(0.01)), (20, pytest.approx(0.005))]
    assert values["localize/validation"] == [(4, 0.75)]
    [picture] = events.Images("classify/a.png")
    assert (picture.width, picture.height, picture.step) == (120, 90, 1)


def test_mlflow_keeps_a_run_that_goes_on_after_a_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    train("mlflow", tmp_path, tmp_path)
    train("mlflow", tmp_path, tmp_path)
    [run] = mlflow.MlflowClient().search_runs(["0"])
    assert run.info.run_name == "mine" and run.info.status == "FINISHED"
    assert run.data.params["backbone"] == "tiny" and run.data.metrics["localize/validation"] == 0.75
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "classify/loss")
    assert sorted((each.step, each.value) for each in history) == [(10, 0.75), (10, 0.75), (20, 0.5), (20, 0.5)]


def test_what_the_hooks_did_before_they_still_do(tmp_path: Path) -> None:
    heard: list[Any] = []
    train("tensorboard", tmp_path, tmp_path, TrainingHooks(on_record=heard.append, on_samples=heard.append))
    assert heard[:3] == LINES and isinstance(heard[3], EpochSamples)


def test_a_log_that_fails_does_not_stop_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    with caplog.at_level(logging.WARNING):
        train("tensorboard", tmp_path, tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        "The training is not logged any more: No space left on device"
    ]


@pytest.mark.parametrize(("kind", "module"), [("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow")])
def test_a_missing_library_is_a_sentence_with_its_extra(
    kind: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'boxstrap\[{kind}\]'"):
        train(kind, tmp_path, tmp_path)
