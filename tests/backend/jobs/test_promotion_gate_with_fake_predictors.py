"""The gate on pictures of touching neighbours, with predictors that only say what they were told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.jobs import promotion_gate
from backend.jobs.context import JobContext, job_context
from backend.storage.version_facts import GateDecision, VersionFacts
from wsol_core.config import TrainConfig
from wsol_core.localization.model_card import ModelCard
from wsol_core.records import BoolMask, BoxXyxy, CorrectedRegion, Localization, Region, Sample

PROJECT = "7"
SIZE_WH = (40, 20)
LEFT, RIGHT, BOTH = (4, 4, 20, 16), (20, 4, 36, 16), (4, 4, 36, 16)
FOUND = {"apart": (LEFT, RIGHT), "merged": (BOTH,)}
CARD = ModelCard(
    config=TrainConfig(),
    classes=("crab",),
    multi_label=False,
    threshold=0.5,
    threshold_rule="given",
    refine_edges=False,
)


def filled(box: tuple[int, int, int, int]) -> BoolMask:
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


class FakePredictor:
    """Finds in every picture what the name of its model's folder says: the crabs apart, or merged into one."""

    card = CARD

    def __init__(self, model: Path) -> None:
        self._regions = tuple(Region("crab", box, 0.9, (), filled(box)) for box in FOUND[said(model)])

    def localize(self, samples: Sequence[Sample], labels_of: Callable[[Sample], list[str]]) -> Iterator[Localization]:
        for sample in samples:
            assert labels_of(sample) == ["crab"]
            yield Localization(sample.file, SIZE_WH, {"crab": 0.9}, self._regions)


def said(model: Path) -> str:
    return (model / "model.json").read_text()


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobContext]:
    monkeypatch.setenv("BOXSTRAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setattr(promotion_gate.Predictor, "open", lambda model, device: FakePredictor(model))
    monkeypatch.setattr("backend.jobs.context.check_model", lambda folder: None)  # there is none behind a fake
    job_context.cache_clear()
    yield job_context()
    job_context.cache_clear()


@pytest.fixture
def holdout(tmp_path: Path) -> list[Sample]:
    regions = []
    for name, box in (("left", LEFT), ("right", RIGHT)):
        Image.fromarray(filled(box)).save(tmp_path / f"{name}.png")
        corners: BoxXyxy = box
        regions.append(CorrectedRegion("crab", corners, tmp_path / f"{name}.png"))
    return [Sample(f"task {number}", tmp_path / "picture", ("crab",), tuple(regions)) for number in range(5)]


def decision(context: JobContext, folder: Path, live: str, new: str, holdout: Sequence[Sample]) -> GateDecision:
    for name in (live, new):
        (folder / name).mkdir()
        (folder / name / "model.json").write_text(name)
        (folder / name / "model.safetensors").write_text("weights")
    context.stores.models.publish(PROJECT, folder / live, VersionFacts(run=live))
    return promotion_gate.judge(context, PROJECT, folder / new, CARD, holdout)


def test_a_version_that_merges_neighbours_loses_against_one_that_keeps_them_apart(
    context: JobContext, tmp_path: Path, holdout: list[Sample]
) -> None:
    assert np.array_equal(filled(LEFT) | filled(RIGHT), filled(BOTH))  # as unions they are the same
    found = decision(context, tmp_path, "apart", "merged", holdout)
    assert not found.passed and not found.promoted
    worse = {name: (measure["live"], measure["new"]) for name, measure in found.measures.items()}
    assert worse == {"box_iou": (1.0, 0.25), "mask_iou": (1.0, 0.25), "edits": (0.0, 2.0)}


def test_a_version_that_keeps_neighbours_apart_goes_live(
    context: JobContext, tmp_path: Path, holdout: list[Sample]
) -> None:
    found = decision(context, tmp_path, "merged", "apart", holdout)
    assert found.promoted and "is better" in found.sentence
