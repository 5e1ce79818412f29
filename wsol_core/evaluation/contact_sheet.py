"""Many images on one sheet, with masks and boxes drawn over them. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.errors import DataError
from wsol_core.records import BoolMask, BoxXyxy

RgbImage = NDArray[np.uint8]  # (H, W, 3)
Rgb = tuple[int, int, int]

PAPER: Rgb = (255, 255, 255)
MASK: Rgb = (255, 64, 160)
PREDICTED: Rgb = (255, 214, 10)
TRUE: Rgb = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Tile:
    """An image (H, W, 3) and what to draw on it, all in its own pixels: one mask, predicted boxes and true ones."""

    image: RgbImage
    mask: BoolMask | None = None
    boxes_xyxy: tuple[BoxXyxy, ...] = ()
    true_boxes_xyxy: tuple[BoxXyxy, ...] = ()


def contact_sheet(tiles: Iterable[Tile], width_px: int = 1200, row_px: int = 200, gap_px: int = 6) -> RgbImage:
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


def _strip(row: Sequence[Tile], width_px: int, row_px: int, gap_px: int) -> RgbImage:
    """One row, `width_px` wide; no higher than `row_px`, so a row that is not full ends early."""
    free = width_px - gap_px * (len(row) - 1)
    height = max(1, min(row_px, round(free / sum(map(_aspect, row)))))
    strip = _paper(height, width_px)
    x = 0
    for tile in row:
        width = max(1, min(round(height * _aspect(tile)), width_px - x))
        strip[:, x : x + width] = _draw(tile, (width, height))
        x += width + gap_px
    return strip


def _paper(height: int, width: int) -> RgbImage:
    return np.full((height, width, 3), PAPER, np.uint8)


def _draw(tile: Tile, size_wh: tuple[int, int]) -> RgbImage:
    """The image at its size on the sheet, the overlays drawn after scaling so that lines stay thin."""
    height, width = tile.image.shape[:2]
    canvas: RgbImage = np.asarray(cv2.resize(tile.image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    if tile.mask is not None:
        shape = cv2.resize(tile.mask.astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST)
        tinted = cv2.addWeighted(canvas, 0.6, np.full_like(canvas, MASK), 0.4, 0)
        canvas = np.where(shape[..., None] > 0, tinted, canvas).astype(np.uint8)
        outline, _ = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outline, -1, MASK, 1)
    scale = np.array([size_wh[0] / width, size_wh[1] / height] * 2)
    for boxes, colour, thick in ((tile.true_boxes_xyxy, TRUE, 1), (tile.boxes_xyxy, PREDICTED, 2)):
        for box in boxes:
            x0, y0, x1, y1 = (round(float(edge)) for edge in np.array(box) * scale)
            cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), colour, thick)
    return canvas
