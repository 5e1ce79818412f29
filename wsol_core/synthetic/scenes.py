"""Backgrounds that look like places: grass, leaf litter, sand, rock, water, sky, bricks, bark, gravel. Nothing else."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from wsol_core.synthetic.pixels import (
    Colour,
    FloatImage,
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
from wsol_core.synthetic.textures import colour_ramp, fractal_noise, hsv_colour, jitter_colours

SizeWh = tuple[int, int]
Scene = Callable[[Generator, SizeWh], RgbImage]


def relief(image: RgbImage, height: FloatImage, strength: float) -> RgbImage:
    """`image` lit from the upper left, where `height` (H, W) is its surface."""
    slope_x, slope_y = slopes(height)
    return as_rgb(image * (1 + np.clip(strength * (slope_x + slope_y), -0.6, 0.6))[..., None])


def leaf(image: RgbImage, centre_xy: tuple[float, float], length: float, turn: float, colour: Colour) -> None:
    """Paint one leaf with its shadow and midrib."""
    along = np.linspace(-1, 1, 11)
    half = 0.34 * (1 - along**2) * (1 + 0.35 * along)
    shape = np.stack([np.concatenate([along, along[::-1]]), np.concatenate([half, -half[::-1]])], axis=1)
    points = (shape * length / 2) @ spin(turn) + centre_xy
    fill(image, points + 1.5, _brighter(colour, 0.33))
    fill(image, points, colour)
    outline(image, points[[0, 10]], _brighter(colour, 1.3), 1, closed=False)


def _brighter(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(factor * channel)) for channel in colour)
    return red, green, blue


def _grass(rng: Generator, size_wh: SizeWh) -> RgbImage:
    width, height = size_wh
    colours = jitter_colours(rng, [(38, 58, 22), (72, 104, 38), (118, 142, 62), (160, 168, 92)], 14)
    image = colour_ramp(fractal_noise(rng, size_wh, rng.uniform(40, 110), 6), colours)
    length = rng.uniform(10, 30)
    count = width * height // 170
    foot = rng.uniform((0, 0), (width, height * 1.05), (count, 2))
    foot = foot[np.argsort(foot[:, 1])]
    lean = np.stack([rng.normal(0, 0.35, count), -rng.uniform(0.5, 1, count)], axis=1) * length
    shade = rng.integers(0, len(colours), count)
    for blade, index in zip(np.stack([foot, foot + lean], axis=1), shade, strict=True):
        outline(image, blade, colours[index], 1, closed=False)
    return image


def _litter(rng: Generator, size_wh: SizeWh) -> RgbImage:
    width, height = size_wh
    image = colour_ramp(fractal_noise(rng, size_wh, 30, 5), jitter_colours(rng, [(32, 24, 18), (70, 54, 38)], 8))
    green = rng.random() < 0.4
    length = rng.uniform(20, 46)
    for _ in range(int(3.2 * width * height / length**2)):
        hue = rng.normal(0.27, 0.04) if green else rng.normal(0.085, 0.03)
        colour = hsv_colour(hue, rng.uniform(0.25, 0.65), rng.uniform(0.25, 0.7))
        place = (float(rng.uniform(0, width)), float(rng.uniform(0, height)))
        leaf(image, place, length * rng.uniform(0.6, 1.3), rng.uniform(0, 2 * np.pi), colour)
    return image


def _sand(rng: Generator, size_wh: SizeWh) -> RgbImage:
    colours = jitter_colours(rng, [(128, 106, 78), (186, 162, 124), (216, 198, 164)], 14)
    dunes = fractal_noise(rng, size_wh, rng.uniform(30, 90), 5, (3, 1))
    grain = fractal_noise(rng, size_wh, 3, 2)
    return relief(colour_ramp(0.7 * dunes + 0.3 * grain, colours), dunes * 6 + grain, 0.18)


def _rock(rng: Generator, size_wh: SizeWh) -> RgbImage:
    grey = int(rng.integers(70, 130))
    colours = jitter_colours(
        rng, [(grey - 40, grey - 42, grey - 44), (grey, grey, grey - 4), (grey + 60, grey + 56, grey + 48)], 10
    )
    ridges = 1 - 2 * np.abs(fractal_noise(rng, size_wh, rng.uniform(50, 130), 6) - 0.5)
    lichen = fractal_noise(rng, size_wh, 24, 3)
    image = relief(colour_ramp(ridges * 0.6 + 0.4 * lichen, colours), ridges * 9, 0.28)
    patch = as_float(lichen > rng.uniform(0.62, 0.8))
    return as_rgb(mix(image, (150, 150, 80), 0.4 * patch))


def _water(rng: Generator, size_wh: SizeWh) -> RgbImage:
    hue = rng.uniform(0.45, 0.6)
    colours = [
        hsv_colour(hue, 0.6, 0.25),
        hsv_colour(hue, 0.55, 0.45),
        hsv_colour(hue, 0.35, 0.7),
        hsv_colour(hue, 0.08, 0.95),
    ]
    swell = fractal_noise(rng, size_wh, rng.uniform(10, 26), 4, (4, 1))
    depth = np.linspace(-0.15, 0.15, size_wh[1], dtype=np.float32)[:, None]
    return colour_ramp(swell**1.6 + depth * rng.uniform(-1, 1), colours)


def _sky(rng: Generator, size_wh: SizeWh) -> RgbImage:
    hue, haze = rng.uniform(0.54, 0.62), rng.uniform(0.05, 0.3)
    top, low = hsv_colour(hue, rng.uniform(0.3, 0.65), rng.uniform(0.5, 0.85)), hsv_colour(hue, haze, 0.9)
    slope = np.linspace(0, 1, size_wh[1], dtype=np.float32)[:, None]
    clouds = np.clip(fractal_noise(rng, size_wh, rng.uniform(60, 160), 6, (2, 1)) * 2.4 - rng.uniform(0.8, 1.4), 0, 1)
    blue = colour_ramp(np.repeat(slope, size_wh[0], axis=1), [top, low])
    white = colour_ramp(fractal_noise(rng, size_wh, 50, 4), [(150, 154, 164), (244, 244, 246)])
    return as_rgb(mix(blue, white, as_float(clouds)))


def _bricks(rng: Generator, size_wh: SizeWh) -> RgbImage:
    width, height = size_wh
    brick_h = rng.uniform(16, 36)
    brick_w = brick_h * rng.uniform(1.8, 2.8)
    warp = fractal_noise(rng, size_wh, 60, 2) * 6
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    row = np.floor((y + warp) / brick_h)
    column = (x + warp) / brick_w + 0.5 * (row % 2)
    edge = np.minimum((column % 1) * brick_w, ((y + warp) / brick_h % 1) * brick_h)
    tone = np.sin(row * 12.9898 + np.floor(column) * 78.233) * 43758.5453 % 1
    colours = jitter_colours(rng, [(92, 48, 38), (138, 74, 56), (172, 112, 88)], 16)
    image = colour_ramp(0.6 * tone + 0.4 * fractal_noise(rng, size_wh, 10, 4), colours)
    mortar = colour_ramp(fractal_noise(rng, size_wh, 8, 3), [(110, 106, 100), (176, 170, 160)])
    return as_rgb(mix(image, mortar, as_float(np.clip(1.6 - edge / 2, 0, 1))))


def _bark(rng: Generator, size_wh: SizeWh) -> RgbImage:
    colours = jitter_colours(rng, [(38, 28, 20), (86, 66, 48), (140, 116, 90)], 12)
    fibres = fractal_noise(rng, size_wh, rng.uniform(8, 18), 4, (1, rng.uniform(4, 8)))
    ridges = 1 - 2 * np.abs(fibres - 0.5)
    image = relief(colour_ramp(ridges, colours), ridges * 5, 0.32)
    return image if rng.random() < 0.6 else np.ascontiguousarray(cv2.resize(image.transpose(1, 0, 2), size_wh))


def _gravel(rng: Generator, size_wh: SizeWh) -> RgbImage:
    width, height = size_wh
    count = int(width * height / rng.uniform(10, 26) ** 2)
    seeds = np.full((height, width), 255, np.uint8)
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    distance, cell = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    tone = rng.random(int(cell.max()) + 1).astype(np.float32)[cell]
    colours = jitter_colours(rng, [(70, 66, 62), (128, 122, 114), (178, 168, 156)], 14)
    round_top = blur(distance, 1) / 8
    image = colour_ramp(0.65 * tone + 0.35 * fractal_noise(rng, size_wh, 6, 3), colours)
    shaded = as_rgb(image * (1.1 - 0.75 * np.clip(round_top, 0, 0.9))[..., None])
    return relief(shaded, as_float(-round_top), 0.3)


GROUNDS: tuple[Scene, ...] = (_grass, _litter, _sand, _rock, _water, _bricks, _bark, _gravel)


def _join(rng: Generator, upper: RgbImage, lower: RgbImage) -> RgbImage:
    """`upper` above a ragged horizon, `lower` below it."""
    height, width = upper.shape[:2]
    ragged = fractal_noise(rng, (width, 1), rng.uniform(20, 120), 5)[0]
    horizon = height * rng.uniform(0.25, 0.6) + (ragged - 0.5) * rng.uniform(4, 70)
    below = np.clip(np.arange(height)[:, None] - horizon[None], 0, 1)
    return as_rgb(mix(upper, lower, as_float(below)))


def draw_scene(rng: Generator, size_wh: SizeWh) -> RgbImage:
    """A background of one place, or of two with a horizon between them."""
    first, second = (int(index) for index in rng.choice(len(GROUNDS), 2, replace=False))
    ground = GROUNDS[first](rng, size_wh)
    if rng.random() >= 0.4:
        return ground
    behind = _sky if rng.random() < 0.6 else GROUNDS[second]
    return _join(rng, behind(rng, size_wh), ground)
