"""A data set of three images with everything that a format has to write."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsol_core.exports.records import ExportedImage, ExportedObject, Source
from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask

CLASSES = ["crab", "fish"]
SIZE_WH = (120, 90)


def ellipse(centre: tuple[int, int], axes: tuple[int, int]) -> BoolMask:
    canvas = np.zeros((SIZE_WH[1], SIZE_WH[0]), np.uint8)
    cv2.ellipse(canvas, centre, axes, 20, 0, 360, 1, cv2.FILLED)
    return canvas.astype(np.bool_)


def with_hole_and_island() -> BoolMask:
    mask = ellipse((40, 45), (35, 30)) & ~ellipse((40, 45), (12, 10))
    mask[5:20, 95:115] = True
    return mask


DISC, RING = ellipse((80, 40), (20, 14)), with_hole_and_island()


def image_file(path: Path, size_wh: tuple[int, int] = SIZE_WH, seed: int = 0) -> Path:
    pixels: NDArray[np.uint8] = np.random.default_rng(seed).integers(
        0, 255, (size_wh[1], size_wh[0], 3), dtype=np.uint8
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def three_images(folder: Path) -> list[ExportedImage]:
    """One that people drew on, one that is predicted and held out, one that shows nothing."""
    files = [image_file(folder / f"{name}.png", seed=seed) for seed, name in enumerate("abc")]
    drawn = (
        ExportedObject("fish", (60.25, 26.0, 100.5, 54.0), Source.HUMAN, None, DISC),
        ExportedObject("crab", tuple(map(float, bounds(RING))), Source.ACCEPTED, None, RING),  # type: ignore[arg-type]
    )
    predicted = (ExportedObject("fish", (10.0, 20.0, 50.0, 60.0), Source.PREDICTED, 0.75),)
    return [
        ExportedImage("a.png", SIZE_WH, drawn, ("crab", "fish"), "train", files[0], 11, reviewed=True),
        ExportedImage("b.png", SIZE_WH, predicted, ("fish",), "val", files[1], 12),
        ExportedImage("c.png", SIZE_WH, (), ("crab",), "train", files[2], 13, reviewed=True),
    ]
