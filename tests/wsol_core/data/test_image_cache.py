"""Decoded images stay in bounded memory; regions lie on the same grid."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsol_core.data.image_cache import ImageCache, read_resized
from wsol_core.records import BOX_REGION, MASK_REGION, CorrectedRegion, Sample

SIDE = 8
IMAGE_BYTES = SIDE * SIDE * 3


def a_sample(folder: Path, name: str = "a.png", regions: tuple[CorrectedRegion, ...] = ()) -> Sample:
    Image.new("RGB", (16, 8), (10, 20, 30)).save(folder / name)
    return Sample(name, folder / name, ("cat",), regions)


def a_mask(folder: Path, columns: slice) -> Path:
    mask = np.zeros((8, 16), np.uint8)
    mask[:, columns] = 1
    Image.fromarray(mask).save(folder / "mask.png")
    return folder / "mask.png"


def test_an_image_is_squashed_to_a_square(tmp_path: Path) -> None:
    image = read_resized(a_sample(tmp_path), SIDE)
    assert image.pixels.shape == (SIDE, SIDE, 3)
    assert image.pixels[0, 0].tolist() == [10, 20, 30]
    assert (image.objects, image.size_bytes) == ((), IMAGE_BYTES)


def test_boxes_become_shares_of_the_image(tmp_path: Path) -> None:
    sample = a_sample(tmp_path, regions=(CorrectedRegion("cat", (4, 2, 12, 8)),))
    region = read_resized(sample, SIDE).region("cat")
    assert region is not None
    assert (region.kind, region.mask) == (BOX_REGION, None)
    assert region.boxes.tolist() == [[0.25, 0.25, 0.75, 1.0]]


def test_a_region_takes_the_part_of_its_mask_inside_its_box(tmp_path: Path) -> None:
    path = a_mask(tmp_path, slice(4, 16))
    sample = a_sample(tmp_path, regions=(CorrectedRegion("cat", (0, 0, 8, 8), path),))
    region = read_resized(sample, SIDE).region("cat")
    assert region is not None and region.mask is not None
    assert region.kind == MASK_REGION
    assert region.mask[0].tolist() == [0, 0, 255, 255, 0, 0, 0, 0]


def test_regions_of_a_class_are_united_and_those_of_others_kept_apart(tmp_path: Path) -> None:
    path = a_mask(tmp_path, slice(0, 16))
    boxes = {"cat": [(0, 0, 4, 8), (12, 0, 16, 8)], "dog": [(4, 0, 6, 8)]}
    regions = tuple(CorrectedRegion(label, box, path) for label, found in boxes.items() for box in found)
    image = read_resized(a_sample(tmp_path, regions=regions), SIDE)
    cat, dog = image.region("cat"), image.region("dog")
    assert cat is not None and cat.mask is not None and dog is not None and dog.mask is not None
    assert cat.mask[0].tolist() == [255, 255, 0, 0, 0, 0, 255, 255]
    assert dog.mask[0].tolist() == [0, 0, 255, 0, 0, 0, 0, 0]
    assert image.region("bird") is None


def test_every_object_keeps_its_own_box_and_mask(tmp_path: Path) -> None:
    path = a_mask(tmp_path, slice(0, 16))
    regions = tuple(CorrectedRegion("cat", box, path) for box in ((0, 0, 8, 8), (8, 0, 16, 8)))
    left, right = read_resized(a_sample(tmp_path, regions=regions), SIDE).objects
    assert (left.box.tolist(), right.box.tolist()) == ([0, 0, 0.5, 1], [0.5, 0, 1, 1])
    assert left.mask is not None and right.mask is not None
    assert (left.mask[0].tolist(), right.mask[0].tolist()) == ([255] * 4 + [0] * 4, [0] * 4 + [255] * 4)


def test_where_one_object_has_no_mask_all_are_boxes(tmp_path: Path) -> None:
    path = a_mask(tmp_path, slice(0, 4))
    regions = (CorrectedRegion("cat", (0, 0, 4, 8), path), CorrectedRegion("cat", (8, 0, 12, 8)))
    region = read_resized(a_sample(tmp_path, regions=regions), SIDE).region("cat")
    assert region is not None
    assert (region.kind, region.mask, len(region.boxes)) == (BOX_REGION, None, 2)


@pytest.mark.parametrize("broken", ["gone", "torn", "empty"])
def test_a_mask_that_says_nothing_leaves_the_box_and_a_warning(
    tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = a_mask(tmp_path, slice(12, 16))
    if broken == "gone":
        path.unlink()
    elif broken == "torn":
        path.write_bytes(b"torn")
    sample = a_sample(tmp_path, regions=(CorrectedRegion("cat", (0, 0, 8, 8), path),))
    with caplog.at_level(logging.WARNING):
        region = read_resized(sample, SIDE).region("cat")
    assert region is not None and region.kind == BOX_REGION
    assert "Only the box is used" in caplog.text


def test_as_many_images_stay_as_the_memory_allows(tmp_path: Path) -> None:
    cache = ImageCache(SIDE, limit_bytes=2 * IMAGE_BYTES)
    samples = [a_sample(tmp_path, f"{i}.png") for i in range(3)]
    first, second, third = (cache.image(sample) for sample in samples)
    assert cache.image(samples[0]) is first
    assert cache.image(samples[1]) is second
    assert third is not None
    assert cache.image(samples[2]) is not third


def test_an_unreadable_image_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "x.png").write_bytes(b"torn")
    cache = ImageCache(SIDE, 10**6)
    sample = Sample("cats/x.png", tmp_path / "x.png", ("cat",))
    with caplog.at_level(logging.WARNING):
        assert [cache.image(sample), cache.image(sample)] == [None, None]
    assert [record.message.count("cats/x.png") for record in caplog.records] == [1]
