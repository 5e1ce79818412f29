"""Batches follow from the seed, share images out, and carry the right labels and regions."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from wsol_core.data.batch import Batch
from wsol_core.data.loader import BatchLoader, plain_images
from wsol_core.data.normalization import to_images
from wsol_core.data.transforms import Augmentation
from wsol_core.errors import DataError
from wsol_core.records import BOX_REGION, MASK_REGION, NO_REGION, CorrectedRegion, Sample

SIDE = 16
STILL = Augmentation(margin_px=0, mirror=0.0, jitter=0.0)  # images come as they are
CLASSES = ("cat", "dog")
MakeSample = Callable[..., Sample]


@pytest.fixture
def make(tmp_path: Path) -> MakeSample:
    """An image of one grey value, by which a batch's images can be told apart."""

    def sample(grey: int, *labels: str, regions: tuple[CorrectedRegion, ...] = ()) -> Sample:
        path = tmp_path / f"{grey}.png"
        Image.new("L", (32, 16), grey).save(path)
        return Sample(path.name, path, labels or ("cat",), regions)

    return sample


def images(samples: list[Sample], **changes: Any) -> BatchLoader:
    settings = {"side_px": SIDE, "batch_size": 4, "seed": 0, "augmentation": STILL, "workers": 0}
    return BatchLoader(samples, CLASSES, **{**settings, **changes})


def greys(images: torch.Tensor | None) -> list[int]:
    """The grey value of each image of a batch."""
    assert images is not None
    black, white = (float(to_images(np.full((1, 1, 1, 3), v, np.uint8))[0, 0, 0, 0]) for v in (0, 255))
    return ((images[:, 0, 0, 0] - black) / (white - black) * 255).round().int().tolist()


def same(left: Batch, right: Batch) -> bool:
    return all(
        torch.equal(getattr(left, name), getattr(right, name))
        for name in ("images", "labels", "target", "region_kind", "region")
    )


def test_every_image_comes_once_an_epoch_in_another_order_each(make: MakeSample) -> None:
    source = images([make(grey) for grey in range(8)])
    assert source.batches_per_epoch == 2
    epochs = [greys(source.batch(2 * e).images) + greys(source.batch(2 * e + 1).images) for e in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(8))] * 3
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_batch_is_the_same_whenever_and_by_whomever_it_is_made(make: MakeSample) -> None:
    samples = [make(10 * i, CLASSES[i % 2]) for i in range(6)]
    changes = {"augmentation": Augmentation(margin_px=8)}
    alone = list(islice(images(samples, **changes).batches(), 7))
    threads = images(samples, **changes, workers=2, cache_bytes=0).batches(4)
    assert all(same(left, right) for left, right in zip(alone[4:], islice(threads, 3), strict=True))
    threads.close()
    assert not same(alone[0], images(samples, **changes, seed=1).batch(0))


def test_closing_the_batches_ends_their_threads(make: MakeSample) -> None:
    batches = images([make(1), make(2)], workers=2).batches()
    next(batches)
    assert any(thread.name.startswith("image-loader") for thread in threading.enumerate())
    batches.close()
    assert not any(thread.name.startswith("image-loader") for thread in threading.enumerate())


def test_processes_share_an_epoch_out(make: MakeSample) -> None:
    samples = [make(grey) for grey in range(8)]
    ranks = [images(samples, rank=rank, world_size=2) for rank in (0, 1)]
    assert [source.batches_per_epoch for source in ranks] == [1, 1]
    assert sorted(grey for source in ranks for grey in greys(source.batch(0).images)) == list(range(8))


def test_fewer_images_than_a_batch_fill_it_by_coming_again(make: MakeSample) -> None:
    source = images([make(7), make(9)], batch_size=5)
    assert source.batches_per_epoch == 1
    assert Counter(greys(source.batch(0).images)) in ({7: 3, 9: 2}, {7: 2, 9: 3})


def test_labels_mark_all_classes_and_the_target_is_one_of_them_by_turns(make: MakeSample) -> None:
    source = images([make(5, "dog"), make(6, "cat", "dog")], batch_size=2)
    targets: dict[int, set[int]] = {5: set(), 6: set()}
    for index in range(12):
        batch = source.batch(index)
        for row, grey in enumerate(greys(batch.images)):
            assert batch.labels[row].tolist() == ([0, 1] if grey == 5 else [1, 1])
            targets[grey].add(int(batch.target[row]))
    assert targets == {5: {1}, 6: {0, 1}}


def test_few_corrected_images_are_a_quarter_of_every_batch(make: MakeSample) -> None:
    box = (CorrectedRegion("cat", (0, 0, 16, 16)),)
    samples = [make(200, regions=box), *(make(grey) for grey in range(24))]
    source = images(samples, batch_size=8)
    assert source.batches_per_epoch == 3  # 25 images
    batches = [source.batch(index) for index in range(4)]
    assert [greys(batch.images).count(200) for batch in batches] == [2, 2, 2, 2]
    assert sorted(g for b in batches for g in greys(b.images) if g != 200) == list(range(24))
    assert len({tuple(np.flatnonzero(np.array(greys(b.images)) == 200)) for b in batches}) > 1  # spread anew each time


@pytest.mark.parametrize(("corrected", "shown"), [(3, 6), (4, 8), (6, 8)])
def test_corrected_images_are_shown_twice_as_often_up_to_half_of_every_batch(
    make: MakeSample, corrected: int, shown: int
) -> None:
    box = (CorrectedRegion("cat", (0, 0, 16, 16)),)
    source = images([make(grey, regions=box if grey < corrected else ()) for grey in range(16)], batch_size=16)
    assert source.batches_per_epoch == 1
    assert sum(grey < corrected for grey in greys(source.batch(0).images)) == shown


def test_many_corrected_images_are_not_shown_more_often(make: MakeSample) -> None:
    box = (CorrectedRegion("cat", (0, 0, 16, 16)),)
    source = images([make(grey, regions=box if grey < 4 else ()) for grey in range(8)])
    assert sorted(greys(source.batch(0).images) + greys(source.batch(1).images)) == list(range(8))


def test_regions_are_those_of_the_target_class_on_a_quarter_of_the_side(make: MakeSample, tmp_path: Path) -> None:
    mask = np.zeros((16, 32), np.uint8)
    mask[8:] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    regions = (
        CorrectedRegion("cat", (0, 0, 16, 16)),
        CorrectedRegion("dog", (0, 0, 32, 16), tmp_path / "mask.png"),
    )
    source = images([make(1, "cat", "dog", regions=regions), make(2, "cat")], batch_size=2)
    seen = {}
    for index in range(8):
        batch = source.batch(index)
        for row, grey in enumerate(greys(batch.images)):
            seen[grey, int(batch.target[row])] = (int(batch.region_kind[row]), batch.region[row].tolist())
    assert seen == {
        (1, 0): (BOX_REGION, [[1.0, 1.0, 0.0, 0.0]] * 4),
        (1, 1): (MASK_REGION, [[0.0] * 4, [0.0] * 4, [1.0] * 4, [1.0] * 4]),
        (2, 0): (NO_REGION, [[0.0] * 4] * 4),
    }


def test_backgrounds_come_on_top_as_a_quarter_of_the_batch(make: MakeSample) -> None:
    empty = [make(grey).path for grey in (100, 101, 102)]
    source = images([make(1)], batch_size=8, backgrounds=empty)
    shown = [greys(source.batch(index).backgrounds) for index in range(3)]
    assert [len(found) for found in shown] == [2, 2, 2]
    assert sorted(grey for found in shown for grey in found) == [100, 100, 101, 101, 102, 102]
    assert images([make(1)]).batch(0).backgrounds is None


def test_an_unreadable_image_is_replaced_by_the_next_one(make: MakeSample, caplog: pytest.LogCaptureFixture) -> None:
    samples = [make(1, "cat"), make(2, "dog"), make(3, "cat")]
    samples[0].path.write_bytes(b"torn")
    with caplog.at_level(logging.WARNING):
        batch = images(samples, batch_size=3).batch(0)
    assert sorted(greys(batch.images)) == [2, 2, 3]
    assert [int(label) for label in batch.target] == [1 if grey == 2 else 0 for grey in greys(batch.images)]
    assert "Skipped: 1.png cannot be read" in caplog.text


def test_no_readable_image_at_all_is_an_error(make: MakeSample) -> None:
    sample = make(1)
    sample.path.write_bytes(b"torn")
    with pytest.raises(DataError, match="None of 1 images can be read"):
        images([sample]).batch(0)
    with pytest.raises(DataError, match="There are no images to train on"):
        images([])


def test_plain_images_are_the_readable_ones_in_order(make: MakeSample) -> None:
    samples = [make(3), make(1), make(2)]
    samples[1].path.write_bytes(b"torn")
    readable, images = plain_images(samples, SIDE)
    assert [sample.file for sample in readable] == ["3.png", "2.png"]
    assert (images.shape, greys(images)) == ((2, 3, SIDE, SIDE), [3, 2])
    assert plain_images([], SIDE)[1].shape == (0, 3, SIDE, SIDE)
