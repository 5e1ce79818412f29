"""What version 0.1 wrote opens with this code: a checkpoint in the middle of a stage, and a finished model."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from wsol_core.localization.predictor import Predictor
from wsol_core.records import CorrectedRegion, Localization, Sample
from wsol_core.training.checkpoint import load_checkpoint, resume_config
from wsol_core.training.fit import fit
from wsol_core.training.history import read_history

HOME = Path(__file__).parents[2] / "fixtures" / "home_0_1.tar.xz"
CLASSES = ("fish", "ladybird")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    with tarfile.open(HOME) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def interrupted(home: Path) -> Path:
    """The run whose training was stopped."""
    return next(path.parents[1] for path in (home / "runs").glob("*/model/checkpoint.pt"))


def read_samples(run: Path, part: str) -> list[Sample]:
    lines = [json.loads(line) for line in (run / "manifest.jsonl").read_text().splitlines()]
    return [
        Sample(
            f"task {line['task']}",
            run / "pictures" / str(line["task"]),
            tuple(line["labels"]),
            tuple(
                CorrectedRegion(region["label"], tuple(region["box_xyxy"]), region["mask"] and run / region["mask"])
                for region in line["regions"]
            ),
        )
        for line in lines
        if line["part"] == part
    ]


def predicts(model: Path, samples: list[Sample]) -> bool:
    found = list(Predictor.open(model, "cpu").localize(samples))
    return all(isinstance(each, Localization) and set(each.scores) == set(CLASSES) and each.regions for each in found)


@pytest.mark.slow
def test_a_finished_model_opens_and_predicts(home: Path, interrupted: Path) -> None:
    model = home / "models" / "7" / "boxstrap-7-0001"
    assert Predictor.open(model, "cpu").card.classes == CLASSES
    assert predicts(model, read_samples(interrupted, "train"))


@pytest.mark.slow
def test_a_checkpoint_in_the_middle_of_a_stage_resumes_to_a_finished_model(interrupted: Path) -> None:
    model = interrupted / "model"
    before = load_checkpoint(model)["run"]
    assert (before["stage_index"], before["step"]) == (1, 3)
    done = len(read_history(model / "history.jsonl"))
    samples = read_samples(interrupted, "train")
    card = fit(resume_config(model), samples, CLASSES, model, resume=True, unseen=read_samples(interrupted, "holdout"))
    assert card.metrics["train_steps"] > sum(plan["steps"] for plan in before["plans"]), "a stage that is new since"
    assert {row["stage"] for row in read_history(model / "history.jsonl")} == {"classify", "localize", "separate"}
    assert len(read_history(model / "history.jsonl")) > done > 0
    assert predicts(model, samples)


@pytest.mark.slow
def test_a_training_begins_with_a_finished_model_that_knew_no_single_objects(
    home: Path, interrupted: Path, tmp_path: Path
) -> None:
    before = home / "models" / "7" / "boxstrap-7-0001"
    config, samples = Predictor.open(before, "cpu").card.config, read_samples(interrupted, "train")
    card = fit(replace(config, epochs=3, minutes=None), samples, CLASSES, tmp_path / "model", warm_start=before)
    assert card.metrics["warm_start"] == 1
    method = Predictor.open(tmp_path / "model", "cpu").method
    assert any(name.startswith("instances.") for name in method.state_dict())
    assert predicts(tmp_path / "model", samples)
