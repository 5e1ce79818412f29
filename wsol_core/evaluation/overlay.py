"""Draw masks, boxes and activation maps over an image. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.data.images import RgbPixels
from wsol_core.ops.maps import resize
from wsol_core.records import BoolMask, BoxXyxy, FloatMap

Rgb = tuple[int, int, int]

MASK: Rgb = (255, 64, 160)
PREDICTED: Rgb = (255, 214, 10)
TRUE: Rgb = (255, 255, 255)
BOX_EDGE: Rgb = (20, 20, 20)  # beside the lines of boxes, so that they are seen on bright images too
LINE_PX = 2
TINT, HEAT = 0.4, 0.55  # shares of the mask's colour and of the map's


def draw_overlay(
    image: RgbPixels,
    size_wh: tuple[int, int],
    mask: BoolMask | None = None,
    boxes_xyxy: Sequence[BoxXyxy] = (),
    true_boxes_xyxy: Sequence[BoxXyxy] = (),
    line_px: int = LINE_PX,
) -> RgbPixels:
    """The image (H, W, 3) shrunk to `size_wh`, with a tinted mask, yellow predicted boxes and white true ones.

    Args: mask: (H, W). boxes_xyxy, true_boxes_xyxy: in pixels of `image`. All are drawn after shrinking, so that lines
        stay as thick as they are.
    """
    canvas = resize(image, size_wh, cv2.INTER_AREA)
    if mask is not None:
        canvas = _tinted(canvas, resize(mask.view(np.uint8), size_wh, cv2.INTER_NEAREST))
    scale = np.array([size_wh[0] / image.shape[1], size_wh[1] / image.shape[0]] * 2)
    lines = [(box, TRUE) for box in true_boxes_xyxy] + [(box, PREDICTED) for box in boxes_xyxy]
    edges = [(box, BOX_EDGE) for box, _ in lines]  # all of them first, so that none hides another box's line
    for boxes, thickness in ((edges, line_px + 2), (lines, line_px)):
        for box, colour in boxes:
            x0, y0, x1, y1 = (round(float(end)) for end in np.array(box) * scale)
            cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), colour, thickness)
    return canvas


def draw_heatmap(image: RgbPixels, size_wh: tuple[int, int], score_map: FloatMap) -> RgbPixels:
    """The image (H, W, 3) shrunk to `size_wh` under its activation map (h, w) in [0, 1], from dark to bright yellow."""
    small = resize(image, size_wh, cv2.INTER_AREA)
    levels = (resize(score_map, size_wh, cv2.INTER_LINEAR) * 255).astype(np.uint8)
    heat = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.asarray((1 - HEAT) * small + HEAT * heat, np.uint8)


def _tinted(canvas: RgbPixels, shape: NDArray[np.uint8]) -> RgbPixels:
    """The canvas in the mask's colour where `shape` (H, W) is 1, with an outline."""
    tinted = cv2.addWeighted(canvas, 1 - TINT, np.full_like(canvas, MASK), TINT, 0)
    canvas = np.where(shape[..., None] > 0, tinted, canvas).astype(np.uint8)
    outlines, _ = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, outlines, -1, MASK, 1)
    return canvas
