"""Laying images out on a sheet."""

from __future__ import annotations

import numpy as np
import pytest

from wsol_core.errors import DataError
from wsol_core.evaluation.contact_sheet import Tile, contact_sheet
from wsol_core.evaluation.overlay import draw_overlay


def plain(height: int, width: int, grey: int = 100) -> Tile:
    return Tile(np.full((height, width, 3), grey, np.uint8))


def test_two_squares_fill_a_row_with_a_white_gap_between_them() -> None:
    sheet = contact_sheet([plain(100, 100), plain(50, 50)], width_px=208, row_px=104, gap_px=8)
    assert sheet.shape == (100, 208, 3)
    assert (sheet[:, :100] == 100).all()
    assert (sheet[:, 100:108] == 255).all()
    assert (sheet[:, 108:] == 100).all()


def test_a_row_that_is_not_full_keeps_the_row_height_and_ends_in_white() -> None:
    sheet = contact_sheet([plain(10, 20)], width_px=100, row_px=30, gap_px=4)
    assert sheet.shape == (30, 100, 3)
    assert (sheet[:, :60] == 100).all()
    assert (sheet[:, 60:] == 255).all()


def test_rows_are_as_wide_as_the_sheet_whatever_the_shapes() -> None:
    tiles = [plain(30, 70), plain(90, 20), plain(40, 40), plain(10, 200), plain(64, 48)]
    assert contact_sheet(tiles, width_px=150, row_px=40).shape[1:] == (150, 3)


def test_tiles_are_drawn_with_their_masks_and_boxes() -> None:
    image, mask = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    tile = Tile(image, mask, ((12, 12, 20, 20),), ((0, 0, 5, 5),))
    sheet = contact_sheet([tile], width_px=80, row_px=80)
    assert (sheet == draw_overlay(image, (80, 80), mask, tile.boxes_xyxy, tile.true_boxes_xyxy)).all()


def test_a_sheet_of_nothing_says_so() -> None:
    with pytest.raises(DataError, match="at least one image"):
        contact_sheet([])
