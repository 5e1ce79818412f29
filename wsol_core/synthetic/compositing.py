"""What happens to a picture around its animals: the ground, cut-outs and their shadows, twigs, the camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from wsol_core.records import BoolMask
from wsol_core.synthetic.animals import CutOut, draw_animal
from wsol_core.synthetic.clutter import scatter, twig_in_front
from wsol_core.synthetic.pixels import RgbImage, as_float, as_rgb, blur, mix
from wsol_core.synthetic.scenes import draw_scene
from wsol_core.synthetic.textures import fractal_noise

PixelBox = tuple[int, int, int, int]  # x0, y0, x1, y1; x1 and y1 exclusive


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What makes the images hard. Shares and probabilities are in [0, 1]."""

    smallest: float = 0.3  # square root of the share of the image that an animal's box takes
    largest: float = 0.85
    typical_coat: float = 0.95  # how often an animal wears its class's pattern
    hue_spread: float = 0.05  # how far coats stray from their class's hue: standard deviation in turns
    emblem: float = 0.75  # how often an animal bears its class's emblem
    several: float = 0.2  # how often two or three animals stand in an image
    twigs: float = 0.25  # how often a twig hides a strip of the image
    things: tuple[int, int] = (2, 8)  # how many things of no class lie around, from and below
    thing_sides: tuple[float, float] = (0.06, 0.3)  # their sides as shares of the image's shorter one, from and below
    least_area: float = 0.0  # the share of the image that an animal itself covers at least


def draw_ground(rng: Generator, sides_px: tuple[int, int], hard: Difficulty) -> RgbImage:
    """A place with things of no class around, (H, W, 3); both sides are drawn from `sides_px`, ends included."""
    width, height = (int(side) for side in rng.integers(sides_px[0], sides_px[1] + 1, 2))
    canvas = as_rgb(blur(_fade(draw_scene(rng, (width, height)), rng.uniform(0.5, 0.9)), rng.uniform(0.4, 1.8)))
    scatter(rng, canvas, int(rng.integers(*hard.things)), hard.thing_sides)
    return canvas


def _fade(image: RgbImage, saturation: float) -> RgbImage:
    """The image with its colours closer to grey: places are less colourful than what lives in them."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return as_rgb(cv2.addWeighted(image, saturation, grey, 1 - saturation, 0))


def fitting_animal(
    rng: Generator, class_index: int, size_wh: tuple[int, int], sides_px: tuple[float, float], hard: Difficulty
) -> CutOut:
    """An animal that fits into a picture of `size_wh` and covers `least_area` of it.

    The root of its frame's area is the first of `sides_px`, or more, up to the second, where it would cover less.
    """
    side, most = sides_px
    while True:
        animal = draw_animal(rng, class_index, side, hard.typical_coat, hard.hue_spread, hard.emblem)
        h, w = animal.alpha.shape
        if (factor := min(size_wh[0] / w, size_wh[1] / h)) < 1:
            animal = shrink(animal, factor)
        if np.count_nonzero(animal.alpha >= 0.5) >= hard.least_area * size_wh[0] * size_wh[1] or side >= most:
            return animal
        side = min(1.15 * side, most)


def shrink(animal: CutOut, factor: float) -> CutOut:
    """The same animal smaller, for an image too narrow for it."""
    h, w = animal.alpha.shape
    size_wh = (max(1, int(w * factor)), max(1, int(h * factor)))
    rgb, alpha = (
        as_float(cv2.resize(layer, size_wh, interpolation=cv2.INTER_AREA)) for layer in (animal.rgb, animal.alpha)
    )
    return CutOut(rgb, alpha)


def paste(rng: Generator, canvas: RgbImage, animal: CutOut, at_xy: tuple[int, int]) -> BoolMask:
    """Blend the animal and its shadow into the canvas; (H, W) True where it covers at least half a pixel."""
    (x, y), (h, w) = at_xy, animal.alpha.shape
    full = np.zeros(canvas.shape[:2], np.float32)
    full[y : y + h, x : x + w] = animal.alpha
    fall = tuple(int(step) for step in rng.integers(1, 7, 2))
    shadow = blur(np.roll(full, fall, (0, 1)), rng.uniform(1.5, 4))
    canvas[:] = as_rgb(canvas * (1 - rng.uniform(0.2, 0.5) * shadow)[..., None])
    frame = canvas[y : y + h, x : x + w]
    frame[:] = as_rgb(mix(frame, animal.rgb, animal.alpha))
    covered: BoolMask = full >= 0.5
    return covered


def put_twig(rng: Generator, canvas: RgbImage, masks: list[BoolMask]) -> list[BoolMask]:
    """Paint a twig across the canvas; the masks without the pixels that it hides."""
    hidden = np.zeros(canvas.shape[:2], np.uint8)
    twig_in_front(rng, canvas, hidden)
    return [mask & (hidden < 128) for mask in masks]


def photograph(rng: Generator, canvas: RgbImage) -> RgbImage:
    """What a camera adds: uneven light, a colour cast, contrast, a little blur and noise."""
    height, width = canvas.shape[:2]
    light = 0.8 + 0.4 * fractal_noise(rng, (width, height), max(width, height), 1)
    cast = rng.normal(1, 0.04, 3) * rng.uniform(0.85, 1.12)
    contrast = rng.uniform(0.85, 1.15)
    image = blur(128 + contrast * (canvas * (light[..., None] * as_float(cast)) - 128), rng.uniform(0.3, 1.0))
    return as_rgb(image + rng.uniform(1, 5) * rng.standard_normal(image.shape, np.float32))
