"""Draw one picture of two to six animals of one or more classes that touch each other, with a mask and box of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask
from wsol_core.synthetic.arrangement import Placed, arrange
from wsol_core.synthetic.bodies import CLASS_NAMES
from wsol_core.synthetic.compositing import (
    Difficulty,
    PixelBox,
    draw_ground,
    paste,
    photograph,
    put_twig,
)
from wsol_core.synthetic.pixels import RgbImage

STREAM = 1  # keeps these pictures' random numbers apart from those of single animals


@dataclass(frozen=True, slots=True)
class DrawnObject:
    """mask: (H, W), True on the object's visible pixels, which no other has. The box is tight around them."""

    label: str
    mask: BoolMask
    box_xyxy: PixelBox


@dataclass(frozen=True, slots=True)
class DrawnGroup:
    """image: (H, W, 3) RGB. labels: the classes of its objects; the first is the one the image is listed under."""

    image: RgbImage
    labels: tuple[str, ...]
    objects: tuple[DrawnObject, ...]


def draw_group(
    seed: int, index: int, classes: int, sides_px: tuple[int, int] = (256, 400), difficulty: Difficulty | None = None
) -> DrawnGroup:
    """Image `index` of the data set `seed`: two to six animals, on average half of them touching one of their class.

    One of them, whose label comes first, is of the class that the index modulo `classes` names. At least half of every
    animal is visible. Both sides are drawn from `sides_px`, first and last included.
    """
    hard = difficulty or Difficulty()
    rng = np.random.default_rng([seed, index, STREAM])
    canvas = draw_ground(rng, sides_px, hard)
    height, width = canvas.shape[:2]
    placed = arrange(rng, (width, height), index % classes, classes, hard)
    masks = _paint(rng, canvas, placed)
    if rng.random() < hard.twigs:
        masks = _twig_that_leaves_half(rng, canvas, placed, masks)
    labels = [CLASS_NAMES[each.class_index] for each in placed]
    objects = [DrawnObject(label, mask, bounds(mask)) for label, mask in zip(labels, masks, strict=True)]
    return DrawnGroup(photograph(rng, canvas), tuple(dict.fromkeys(labels)), tuple(objects))


def _paint(rng: Generator, canvas: RgbImage, placed: Sequence[Placed]) -> list[BoolMask]:
    """Paint the animals in any order; what is visible of each, in the order of `placed`."""
    masks: dict[int, BoolMask] = {}
    for index in rng.permutation(len(placed)):
        new = paste(rng, canvas, placed[index].animal, placed[index].at_xy)
        masks = {other: mask & ~new for other, mask in masks.items()} | {int(index): new}
    return [masks[index] for index in range(len(placed))]


def _twig_that_leaves_half(
    rng: Generator, canvas: RgbImage, placed: Sequence[Placed], masks: list[BoolMask]
) -> list[BoolMask]:
    """Paint a twig unless it would hide too much; what is visible then."""
    with_twig = canvas.copy()
    left = put_twig(rng, with_twig, masks)
    if any(2 * np.count_nonzero(mask) < np.count_nonzero(each.full) for mask, each in zip(left, placed, strict=True)):
        return masks
    canvas[:] = with_twig
    return left
