"""Views of images: the same for a seed, an epoch and an index, with the regions of the class that is trained for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsol_core.data.dataset import TrainingDataset, TrainingView
from wsol_core.data.transforms import Augmentation
from wsol_core.records import BOX_REGION, NO_REGION, CorrectedRegion, Sample

SIDE = 16
STILL = Augmentation(margin_px=0, mirror=0.0, jitter=0.0)  # images come as they are
CLASSES = ("cat", "dog")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (16, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def view_of(dataset: TrainingDataset, epoch: int, index: int = 0) -> TrainingView:
    view = dataset.view(epoch, index)
    assert view is not None
    return view


def test_a_view_follows_from_the_seed_the_epoch_and_the_index(image: Path) -> None:
    samples = [Sample("a", image, ("cat",)), Sample("b", image, ("cat",))]

    def pixels(seed: int, epoch: int, index: int) -> bytes:
        dataset = TrainingDataset(samples, CLASSES, SIDE, seed, Augmentation(margin_px=8))
        return view_of(dataset, epoch, index).pixels.tobytes()

    assert pixels(0, 0, 0) == pixels(0, 0, 0)
    assert len({pixels(0, 0, 0), pixels(1, 0, 0), pixels(0, 1, 0), pixels(0, 0, 1)}) == 4


def test_the_target_is_one_of_the_labels_by_turns_and_regions_are_those_of_it(image: Path) -> None:
    samples = [Sample("both", image, CLASSES, (CorrectedRegion("cat", (0, 0, 16, 16)),))]
    dataset = TrainingDataset(samples, CLASSES, SIDE, 0, STILL)
    views = [view_of(dataset, epoch) for epoch in range(8)]
    assert {view.labels for view in views} == {(0, 1)}
    assert {(view.target, view.region_kind, view.region.tobytes()) for view in views} == {
        (0, BOX_REGION, np.array([[1, 1, 0, 0]] * 4, np.float32).tobytes()),
        (1, NO_REGION, np.zeros((4, 4), np.float32).tobytes()),
    }


def test_an_image_without_a_class_has_no_target_and_an_unreadable_one_no_view(image: Path, tmp_path: Path) -> None:
    samples = [Sample("sky", image, ()), Sample("gone", tmp_path / "gone.png", ("cat",))]
    dataset = TrainingDataset(samples, (), SIDE, 0, STILL)
    view = view_of(dataset, 0)
    assert (len(dataset), view.labels, view.target, view.region_kind) == (2, (), -1, NO_REGION)
    assert dataset.view(0, 1) is None
