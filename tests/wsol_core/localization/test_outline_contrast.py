"""How far outlines stand out of a drawn table."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from wsol_core.data.images import RgbPixels
from wsol_core.localization.outline_contrast import outline_contrast, with_contrast
from wsol_core.localization.regions import region_of_mask
from wsol_core.records import Region

HEIGHT, WIDTH = 400, 500
SQUARE, HALO, PART = (220, 180, 260, 220), (180, 140, 300, 260), (230, 190, 250, 210)
Box = tuple[int, int, int, int]


@pytest.fixture
def table() -> RgbPixels:
    """A white square on noisy brown."""
    pixels = np.full((HEIGHT, WIDTH, 3), (110, 70, 40), np.uint8)
    x0, y0, x1, y1 = SQUARE
    pixels[y0:y1, x0:x1] = 235
    noise = np.random.default_rng(0).normal(0, 8, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def a_region(box: Box) -> Region:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return region_of_mask(mask, "crab", 0.3)


def test_an_outline_stands_out_at_the_object_and_neither_at_a_halo_nor_at_a_part(table: RgbPixels) -> None:
    square, halo, part = (outline_contrast(table, a_region(box)) for box in (SQUARE, HALO, PART))
    assert square > 1.5
    assert halo < 0.2 * square and part < 0.2 * square


def test_nothing_stands_out_where_a_side_is_empty(table: RgbPixels) -> None:
    assert outline_contrast(table, a_region((0, 0, WIDTH, HEIGHT))) == 0


@pytest.mark.parametrize("size_wh", [(224, 224), (1500, 1200)])
def test_the_image_may_have_another_size_than_the_region(table: RgbPixels, size_wh: tuple[int, int]) -> None:
    pixels = cv2.resize(table, size_wh, interpolation=cv2.INTER_AREA)
    square, halo = (outline_contrast(pixels, a_region(box)) for box in (SQUARE, HALO))
    assert square > 1.2 and halo < 0.2 * square


def test_a_region_keeps_its_contrast(table: RgbPixels) -> None:
    region = a_region(SQUARE)
    assert region.contrast is None
    assert with_contrast(region, table).contrast == outline_contrast(table, region)
