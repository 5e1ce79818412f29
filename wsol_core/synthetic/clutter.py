"""Things of no class: stones, sticks, leaves, plain toys and scribbles. Every class gets them equally often."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from wsol_core.synthetic.pixels import (
    Colour,
    Points,
    RgbImage,
    as_float,
    as_rgb,
    blur,
    fill,
    mix,
    outline,
    slopes,
    spin,
)
from wsol_core.synthetic.scenes import leaf
from wsol_core.synthetic.textures import fractal_noise, hsv_colour

Thing = Callable[[Generator, RgbImage, float], None]


def stick_outline(rng: Generator, start_xy: tuple[float, float], length: float, turn: float, width: float) -> Points:
    """A slightly crooked, tapering stick as a polygon."""
    along = np.linspace(0, 1, 7)
    crooked = np.cumsum(rng.normal(0, 0.035, 7)) * length
    half = np.interp(along, (0, 1), (width / 2, width / 4))
    upper, lower = (np.stack([along * length, crooked + side * half], axis=1) for side in (1, -1))
    outline: Points = np.concatenate([upper, lower[::-1]]) @ spin(turn) + start_xy
    return outline


def wood_colour(rng: Generator) -> Colour:
    return hsv_colour(rng.normal(0.08, 0.02), rng.uniform(0.2, 0.55), rng.uniform(0.2, 0.6))


def _place(rng: Generator, image: RgbImage) -> tuple[float, float]:
    height, width = image.shape[:2]
    return float(rng.uniform(0, width)), float(rng.uniform(0, height))


def _shaded(rng: Generator, image: RgbImage, edge: Points, colour: Colour, rough: float) -> None:
    """Paint a solid thing: its shadow, a grainy surface, and light from the upper left."""
    left, top = (max(0, int(value) - 6) for value in edge.min(axis=0))
    right, bottom = (int(value) + 8 for value in edge.max(axis=0))
    patch = image[top:bottom, left:right] if right > 0 and bottom > 0 else image[:0]
    height, width = patch.shape[:2]
    if min(height, width) < 4:
        return
    shape = np.zeros((height, width), np.uint8)
    fill(shape, edge - (left, top), 255)
    alpha = as_float(shape / 255)
    size = max(height, width)
    slope_x, slope_y = slopes(blur(alpha, max(1.0, size / 8)))
    light = np.clip(1 + 0.055 * size * (slope_x + slope_y), 0.45, 1.5)
    grain = 1 + rough * (fractal_noise(rng, (width, height), max(4, size / 4), 4) - 0.5)
    shaded = patch * (1 - 0.45 * blur(np.roll(alpha, (3, 3), (0, 1)), 2))[..., None]
    patch[:] = as_rgb(mix(shaded, as_float(colour) * (light * grain)[..., None], alpha))


def _rounded(rng: Generator, centre_xy: tuple[float, float], size: float, ragged: float) -> Points:
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    radius = 1 + sum(rng.normal(0, ragged / k) * np.cos(k * angle + rng.uniform(0, 6)) for k in (2, 3, 4, 5))
    squeeze = rng.uniform(0.55, 1)
    return np.stack([radius * np.cos(angle), squeeze * radius * np.sin(angle)], axis=1) * size / 2 + centre_xy


def _stone(rng: Generator, image: RgbImage, size: float) -> None:
    colour = hsv_colour(rng.uniform(0, 1), rng.uniform(0, 0.15), rng.uniform(0.3, 0.75))
    _shaded(rng, image, _rounded(rng, _place(rng, image), size, 0.12), colour, 0.7)


def _stick(rng: Generator, image: RgbImage, size: float) -> None:
    turn = rng.uniform(0, 2 * np.pi)
    edge = stick_outline(rng, _place(rng, image), size * 1.8, turn, max(3.0, size * rng.uniform(0.06, 0.14)))
    _shaded(rng, image, edge, wood_colour(rng), 0.6)


def _toy(rng: Generator, image: RgbImage, size: float) -> None:
    colour = hsv_colour(rng.uniform(0, 1), rng.uniform(0.3, 0.75), rng.uniform(0.4, 0.9))
    _shaded(rng, image, _rounded(rng, _place(rng, image), size * 0.8, 0.16), colour, 0.15)


def _leaves(rng: Generator, image: RgbImage, size: float) -> None:
    x, y = _place(rng, image)
    for _ in range(int(rng.integers(2, 6))):
        colour = hsv_colour(rng.normal(0.22, 0.08), rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7))
        near = (x + float(rng.normal(0, size / 3)), y + float(rng.normal(0, size / 3)))
        leaf(image, near, size * rng.uniform(0.4, 0.8), rng.uniform(0, 2 * np.pi), colour)


def _scribble(rng: Generator, image: RgbImage, size: float) -> None:
    x, y = _place(rng, image)
    ink = hsv_colour(rng.uniform(0, 1), rng.uniform(0, 0.5), float(rng.choice([0.1, 0.95])))
    step, slant = size / 5, rng.uniform(-0.3, 0.3)
    for letter in range(int(rng.integers(3, 8))):
        corners = rng.uniform(-0.4, 0.4, (int(rng.integers(3, 5)), 2)) * (step, 1.5 * step)
        points = corners + (x + letter * step, y + letter * step * slant)
        outline(image, points, ink, 2, closed=bool(rng.random() < 0.3))


THINGS: tuple[Thing, ...] = (_stone, _stick, _toy, _leaves, _scribble)


def scatter(rng: Generator, image: RgbImage, count: int, sides: tuple[float, float]) -> None:
    """Paint `count` things of no class; `sides` are the least and largest share of the image's that they take."""
    side = min(image.shape[:2])
    for kind in rng.integers(0, len(THINGS), count):
        THINGS[kind](rng, image, float(side * rng.uniform(*sides)))


def twig_in_front(rng: Generator, image: RgbImage, hidden: NDArray[np.uint8]) -> None:
    """Paint a thin twig across the image and mark its pixels in `hidden` (H, W) with 255."""
    edge = stick_outline(
        rng, _place(rng, image), max(image.shape) * rng.uniform(0.4, 0.9), rng.uniform(0, 2 * np.pi), rng.uniform(3, 8)
    )
    fill(image, edge + 1.5, (30, 26, 22))
    fill(image, edge, wood_colour(rng))
    fill(hidden, edge + 1.5, 255)
    fill(hidden, edge, 255)
