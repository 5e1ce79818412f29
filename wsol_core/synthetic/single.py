"""Draw one picture of one to three animals of a class that stay apart, with one mask and a box of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask
from wsol_core.synthetic.bodies import CLASS_NAMES
from wsol_core.synthetic.compositing import (
    Difficulty,
    PixelBox,
    draw_ground,
    fitting_animal,
    paste,
    photograph,
    put_twig,
)
from wsol_core.synthetic.pixels import RgbImage

# The box of an animal takes .6 to 2 % of the picture, the animal itself .3 % or more; it has no twig before it.
SMALL = Difficulty(smallest=0.077, largest=0.139, least_area=0.003, several=0.3, twigs=0.0, thing_sides=(0.03, 0.15))


@dataclass(frozen=True, slots=True)
class DrawnImage:
    """image: (H, W, 3) RGB. mask: (H, W), True on every animal's visible pixels. One box an animal."""

    image: RgbImage
    mask: BoolMask
    boxes_xyxy: tuple[PixelBox, ...]
    label: str


def draw_image(
    seed: int, index: int, classes: int, sides_px: tuple[int, int] = (256, 400), difficulty: Difficulty | None = None
) -> DrawnImage:
    """Image `index` of the data set `seed`; its class is the index modulo `classes`, nothing else depends on others.

    Both sides are drawn from `sides_px`, first and last included.
    """
    hard = difficulty or Difficulty()
    rng = np.random.default_rng([seed, index])
    canvas = draw_ground(rng, sides_px, hard)
    masks = _put_animals(rng, canvas, index % classes, hard)
    if rng.random() < hard.twigs:
        masks = put_twig(rng, canvas, masks)
    return DrawnImage(
        image=photograph(rng, canvas),
        mask=np.logical_or.reduce(masks),
        boxes_xyxy=tuple(bounds(mask) for mask in masks),
        label=CLASS_NAMES[index % classes],
    )


def _put_animals(rng: Generator, canvas: RgbImage, class_index: int, hard: Difficulty) -> list[BoolMask]:
    """Paint one to three animals of the class that do not touch; their masks, (H, W) each."""
    height, width = canvas.shape[:2]
    count = int(rng.integers(2, 4)) if rng.random() < hard.several else 1
    largest = hard.largest if count == 1 else min(hard.largest, 0.45)
    taken: list[PixelBox] = []
    masks: list[BoolMask] = []
    for _ in range(4 * count):
        root = float(np.sqrt(width * height))
        sides_px = (root * rng.uniform(min(hard.smallest, largest), largest), root * largest)
        animal = fitting_animal(rng, class_index, (width, height), sides_px, hard)
        h, w = animal.alpha.shape
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        if any(x < right and left < x + w and y < low and top < y + h for left, top, right, low in taken):
            continue
        taken.append((x, y, x + w, y + h))
        masks.append(paste(rng, canvas, animal, (x, y)))
        if len(masks) == count:
            break
    return masks
