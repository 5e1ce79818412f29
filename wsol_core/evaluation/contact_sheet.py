"""Many images on one sheet, with masks and boxes drawn over them. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from wsol_core.data.images import RgbPixels
from wsol_core.errors import DataError
from wsol_core.evaluation.overlay import draw_overlay
from wsol_core.records import BoolMask, BoxXyxy

PAPER = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Tile:
    """An image (H, W, 3) and what to draw on it, all in its own pixels: one mask, predicted boxes and true ones."""

    image: RgbPixels
    mask: BoolMask | None = None
    boxes_xyxy: tuple[BoxXyxy, ...] = ()
    true_boxes_xyxy: tuple[BoxXyxy, ...] = ()


def contact_sheet(tiles: Iterable[Tile], width_px: int = 1200, row_px: int = 200, gap_px: int = 6) -> RgbPixels:
    """Lay the images out in rows of one height each, about `row_px`, that fill `width_px`; the last row may be short.

    Returns (H, width_px, 3) RGB on white. Raises DataError when there is no image.
    """
    rows = list(_rows(list(tiles), width_px / row_px))
    if not rows:
        raise DataError("A contact sheet needs at least one image, and none was given.")
    strips = [_strip(row, width_px, row_px, gap_px) for row in rows]
    gap = _paper(gap_px, width_px)
    return np.concatenate([piece for strip in strips for piece in (strip, gap)][:-1])


def _aspect(tile: Tile) -> float:
    return float(tile.image.shape[1] / tile.image.shape[0])


def _rows(tiles: Sequence[Tile], full: float) -> Iterable[list[Tile]]:
    """Cut into rows whose aspect ratios add up to at least `full`."""
    row: list[Tile] = []
    for tile in tiles:
        row.append(tile)
        if sum(map(_aspect, row)) >= full:
            yield row
            row = []
    if row:
        yield row


def _strip(row: Sequence[Tile], width_px: int, row_px: int, gap_px: int) -> RgbPixels:
    """One row, `width_px` wide; no higher than `row_px`, so a row that is not full ends early."""
    free = width_px - gap_px * (len(row) - 1)
    height = max(1, min(row_px, round(free / sum(map(_aspect, row)))))
    strip = _paper(height, width_px)
    x = 0
    for tile in row:
        width = max(1, min(round(height * _aspect(tile)), width_px - x))
        strip[:, x : x + width] = draw_overlay(
            tile.image, (width, height), tile.mask, tile.boxes_xyxy, tile.true_boxes_xyxy
        )
        x += width + gap_px
    return strip


def _paper(height: int, width: int) -> RgbPixels:
    return np.full((height, width, 3), PAPER, np.uint8)
