"""The images that are shown while a model trains: which, when, and that looking changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG, draw, same, weights
from wsol_core.records import Sample
from wsol_core.training.fit import fit
from wsol_core.training.progress import EpochSamples, TrainingHooks
from wsol_core.training.sample_images import IMAGES, chosen_samples
from wsol_core.training.training_data import prepare_data


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return draw(tmp_path_factory.mktemp("images"), 24)


@pytest.fixture(scope="module")
def shown(images: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> tuple[list[EpochSamples], Path]:
    """What was shown in a training, and its model."""
    seen: list[EpochSamples] = []
    out = tmp_path_factory.mktemp("shown") / "model"
    fit(replace(CONFIG, epochs=2), images, CLASSES, out, hooks=TrainingHooks(on_samples=seen.append))
    return seen, out


def test_the_last_step_of_every_stage_is_shown_with_boxes_on_images_of_every_class(
    shown: tuple[list[EpochSamples], Path],
) -> None:
    last = shown[0][-1]
    assert last.epoch == 2 and last.seconds > 0
    assert len(last.found) == IMAGES
    assert {sample.labels[0] for sample, _ in last.found} == set(CLASSES)
    for sample, found in last.found:
        assert found.size_wh == (100, 80)
        assert {region.label for region in found.regions} <= set(sample.labels)


def test_looking_leaves_the_weights_as_they_are_without(
    images: list[Sample], shown: tuple[list[EpochSamples], Path], tmp_path: Path
) -> None:
    fit(replace(CONFIG, epochs=2), images, CLASSES, tmp_path / "model")
    assert same(weights(tmp_path / "model"), weights(shown[1]))


def test_images_that_no_training_learns_from_come_first(images: list[Sample]) -> None:
    data = prepare_data(images, CLASSES, 0.3)
    held_out = {sample.file for sample in data.held_out}
    assert len(held_out) >= IMAGES
    assert {sample.file for sample in chosen_samples(data)} <= held_out
