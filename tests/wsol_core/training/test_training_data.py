"""What can be trained on, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG
from wsol_core.errors import DataError
from wsol_core.records import CorrectedRegion, Sample
from wsol_core.training.fit import fit
from wsol_core.training.training_data import prepare_data


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


def test_backgrounds_regions_and_names_tell_two_trainings_apart(tmp_path: Path) -> None:
    samples = [Sample(f"{i}.jpg", tmp_path / f"{i}.jpg", (CLASSES[i % 2],)) for i in range(12)]
    digest = prepare_data(samples, CLASSES, 0.1).digest()
    moved = [replace(sample, path=tmp_path / "elsewhere" / sample.file) for sample in samples]
    assert prepare_data(moved, CLASSES, 0.1).digest() == digest
    boxed = [replace(samples[0], regions=(CorrectedRegion("blue", (0, 0, 4, 4)),)), *samples[1:]]
    renamed = [replace(samples[0], file="other.jpg"), *samples[1:]]
    others = [prepare_data(changed, CLASSES, 0.1).digest() for changed in (boxed, renamed)]
    others.append(prepare_data(samples, CLASSES, 0.1, backgrounds=[tmp_path / "sky.jpg"]).digest())
    assert len({digest, *others}) == 4
