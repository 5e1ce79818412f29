"""Surfaces that an inspection camera sees: rolled and brushed steel, tiles, concrete, paint. No defects here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from wsol_core.synthetic.pixels import FloatImage, RgbImage, as_float, as_rgb, mix, outline, slopes
from wsol_core.synthetic.textures import fractal_noise

SizeWh = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Surface:
    """image: (H, W, 3). lengthwise: whether its grain runs along x, as steel is rolled; else along y."""

    image: RgbImage
    lengthwise: bool


def draw_surface(rng: Generator, size_wh: SizeWh) -> Surface:
    """A surface without defects; its material, tone and grain are drawn."""
    lengthwise = bool(rng.random() < 0.5)
    width, height = size_wh
    paint = SURFACES[int(rng.integers(len(SURFACES)))]
    image = paint(rng, size_wh if lengthwise else (height, width))
    return Surface(image if lengthwise else np.ascontiguousarray(image.transpose(1, 0, 2)), lengthwise)


def _toned(rng: Generator, tone: FloatImage, warmth: float) -> RgbImage:
    """Grey levels (H, W) with a tint; `warmth` is how far red and blue stray from grey, in grey levels."""
    tint = rng.normal(0, warmth)
    return as_rgb(tone[..., None] + np.array([tint, 0.3 * tint, -tint], np.float32))


def _noise(
    rng: Generator, size_wh: SizeWh, grain_px: float, amount: float, stretch: float = 1, octaves: int = 3
) -> FloatImage:
    """Noise around 0, from about -`amount` / 2 to `amount` / 2; its spots are `stretch` times longer along x."""
    return as_float(amount * (fractal_noise(rng, size_wh, grain_px, octaves, (stretch, 1)) - 0.5))


def _rolled_steel(rng: Generator, size_wh: SizeWh) -> RgbImage:
    """Hot-rolled: mottled, faint streaks along the rolling direction, broad bands of the rolls across."""
    tone = rng.uniform(80, 165) + _noise(rng, size_wh, rng.uniform(40, 110), rng.uniform(15, 50))
    tone += _noise(rng, size_wh, rng.uniform(2, 5), rng.uniform(15, 45), rng.uniform(6, 30))
    tone += _noise(rng, size_wh, rng.uniform(2, 4), rng.uniform(15, 40), rng.uniform(1, 2))
    bands = fractal_noise(rng, (size_wh[0], 1), rng.uniform(30, 90), 2)
    return _toned(rng, as_float(tone + rng.uniform(0, 25) * (bands - 0.5)), 2)


def _brushed_steel(rng: Generator, size_wh: SizeWh) -> RgbImage:
    """Fine long lines, and a broad reflection across them."""
    tone = rng.uniform(120, 190) + _noise(rng, size_wh, 1.5, rng.uniform(25, 60), rng.uniform(60, 160), 2)
    tone += _noise(rng, size_wh, 4, rng.uniform(8, 25), rng.uniform(40, 100), 2)
    along = np.linspace(-1, 1, size_wh[0], dtype=np.float32)[None]
    gleam = np.exp(-(((along - rng.uniform(-1, 1)) / rng.uniform(0.3, 0.9)) ** 2))
    return _toned(rng, as_float(tone + rng.uniform(0, 45) * gleam), 4)


def _tile(rng: Generator, size_wh: SizeWh) -> RgbImage:
    """Ceramic: a light glaze with speckles, veins of marble now and then, and often a joint."""
    tone = rng.uniform(130, 225) + _noise(rng, size_wh, rng.uniform(50, 130), rng.uniform(8, 30))
    tone += _noise(rng, size_wh, rng.uniform(2, 7), rng.uniform(4, 30), 1, 2)
    if rng.random() < 0.25:
        ridges = 1 - 2 * np.abs(fractal_noise(rng, size_wh, rng.uniform(80, 200), 5) - 0.5)
        fading = fractal_noise(rng, size_wh, 60, 2)
        tone -= as_float(rng.uniform(15, 45) * fading * np.clip(ridges * 24 - 23, 0, 1))
    image = _toned(rng, as_float(tone), 12)
    return _jointed(rng, image) if rng.random() < 0.5 else image


def _jointed(rng: Generator, image: RgbImage) -> RgbImage:
    """The image with one joint between tiles, along x or y, of even colour and sunken."""
    height, width = image.shape[:2]
    upright = rng.random() < 0.5
    at = rng.uniform(0.05, 0.95) * (width if upright else height)
    ends = np.array([[at, -5], [at, height + 5]] if upright else [[-5, at], [width + 5, at]])
    joint = np.zeros((height, width), np.uint8)
    outline(joint, ends, 255, int(rng.integers(3, 9)), closed=False)
    grout = rng.uniform(70, 190) + _noise(rng, (width, height), 3, 30, 1, 2)
    slope_x, slope_y = slopes(as_float(joint / 255))
    filled = mix(image, grout[..., None], as_float(joint / 255))
    return as_rgb(filled * (1 + 0.08 * (slope_x + slope_y))[..., None])


def _concrete(rng: Generator, size_wh: SizeWh) -> RgbImage:
    """Cloudy and grainy, with pores too small to be defects."""
    tone = rng.uniform(100, 185) + _noise(rng, size_wh, rng.uniform(60, 140), rng.uniform(40, 80), 1, 6)
    tone += _noise(rng, size_wh, 2, rng.uniform(20, 45), 1, 2)
    pores = np.clip(fractal_noise(rng, size_wh, rng.uniform(3, 5), 1) * 14 - rng.uniform(12.4, 13.4), 0, 1)
    return _toned(rng, as_float(tone - 45 * pores), 7)


def _paint(rng: Generator, size_wh: SizeWh) -> RgbImage:
    """Lacquered sheet: one colour, orange peel, a soft reflection."""
    slope_x, slope_y = slopes(fractal_noise(rng, size_wh, rng.uniform(3, 7), 2))
    light = 1 + rng.uniform(0.01, 0.07) * (slope_x + slope_y) + _noise(rng, size_wh, 120, rng.uniform(0.1, 0.4), 1, 2)
    colour = rng.uniform(70, 200) + rng.normal(0, 14, 3)
    return as_rgb(light[..., None] * as_float(colour))


SURFACES: tuple[Callable[[Generator, SizeWh], RgbImage], ...] = (
    _rolled_steel,
    _rolled_steel,  # twice as often as the others
    _brushed_steel,
    _tile,
    _concrete,
    _paint,
)
