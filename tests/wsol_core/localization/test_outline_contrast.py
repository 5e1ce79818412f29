"""How far outlines stand out of a drawn table."""

from __future__ import annotations

import cv2
import pytest

from tests.wsol_core.localization.drawn_table import HALO, HEIGHT, PART, SQUARE, WIDTH, a_region, a_table
from wsol_core.localization.outline_contrast import outline_contrast, with_contrast


def test_an_outline_stands_out_at_the_object_and_neither_at_a_halo_nor_at_a_part() -> None:
    table = a_table()
    square, halo, part = (outline_contrast(table, a_region(box)) for box in (SQUARE, HALO, PART))
    assert square > 1.5
    assert halo < 0.2 * square and part < 0.2 * square


def test_nothing_stands_out_where_a_side_is_empty() -> None:
    assert outline_contrast(a_table(), a_region((0, 0, WIDTH, HEIGHT))) == 0


@pytest.mark.parametrize("size_wh", [(224, 224), (1500, 1200)])
def test_the_image_may_have_another_size_than_the_region(size_wh: tuple[int, int]) -> None:
    pixels = cv2.resize(a_table(), size_wh, interpolation=cv2.INTER_AREA)
    square, halo = (outline_contrast(pixels, a_region(box)) for box in (SQUARE, HALO))
    assert square > 1.2 and halo < 0.2 * square


def test_a_region_keeps_its_contrast() -> None:
    region, table = a_region(SQUARE), a_table()
    assert region.contrast is None
    assert with_contrast(region, table).contrast == outline_contrast(table, region)
