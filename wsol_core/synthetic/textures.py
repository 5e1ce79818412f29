"""Noise, colours and the patterns that drawn bodies wear: pure functions of a generator. Nothing is placed here."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from wsol_core.synthetic.pixels import Colour, FloatImage, RgbImage, as_float

Pattern = Callable[[FloatImage, FloatImage, Generator], FloatImage]


def fractal_noise(
    rng: Generator,
    size_wh: tuple[int, int],
    grain_px: float,
    octaves: int = 4,
    stretch_xy: tuple[float, float] = (1, 1),
) -> FloatImage:
    """(H, W) smooth noise in [0, 1], mean about 0.5; the coarsest of its octaves has spots of `grain_px`."""
    width, height = size_wh
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cell_x, cell_y = (max(1.0, grain_px * stretch / 2**octave) for stretch in stretch_xy)
        grid_h, grid_w = int(height / cell_y) + 3, int(width / cell_x) + 3
        grid = rng.standard_normal((grid_h, grid_w), np.float32) * 0.55**octave
        total += np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    spread = 5.0 * float(total.std()) + 1e-6
    return as_float(np.clip((total - total.mean()) / spread + 0.5, 0, 1))


def colour_ramp(field: FloatImage, colours: list[Colour]) -> RgbImage:
    """Paint `field` in [0, 1] with colours from first to last."""
    stops = np.linspace(0, 255, len(colours))
    table = np.stack([np.interp(np.arange(256), stops, channel) for channel in np.array(colours).T], axis=1)
    levels = (np.clip(field, 0, 1) * 255).astype(np.uint8)
    painted: RgbImage = table.astype(np.uint8)[levels]
    return painted


def hsv_colour(hue: float, saturation: float, value: float) -> Colour:
    """RGB of hue in turns (any real number), saturation and value in [0, 1]."""
    sixth = np.array([hue, hue + 2 / 3, hue + 1 / 3]) % 1 * 6
    rgb = value * (1 - saturation + saturation * np.clip(np.abs(sixth - 3) - 1, 0, 1))
    red, green, blue = (round(255 * float(channel)) for channel in rgb)
    return red, green, blue


def jitter_colours(rng: Generator, colours: list[Colour], amount: float) -> list[Colour]:
    """The colours, all moved by one random shift and each by a smaller one of its own; `amount` in grey levels."""
    shared = rng.normal(0, amount, 3) + rng.normal(0, amount)
    moved = np.clip(np.array(colours) + shared + rng.normal(0, amount / 3, (len(colours), 3)), 4, 251).astype(int)
    return [(int(red), int(green), int(blue)) for red, green, blue in moved]


def _sharpen(wave: ArrayLike, softness: float = 0.25) -> FloatImage:
    return as_float(np.clip(as_float(wave) / softness + 0.5, 0, 1))


def _cells(u: FloatImage, v: FloatImage, step: float) -> tuple[FloatImage, FloatImage]:
    """Offsets in [-0.5, 0.5] from the centres of a brick-laid lattice."""
    row = np.floor(v / step)
    return (u / step + 0.5 * (row % 2)) % 1 - 0.5, v / step - row - 0.5


def _bands(u: FloatImage, _: FloatImage, rng: Generator) -> FloatImage:
    return _sharpen(np.sin(u * rng.uniform(15, 19) + rng.uniform(0, 6)))


def _lines(_: FloatImage, v: FloatImage, rng: Generator) -> FloatImage:
    return _sharpen(np.sin(v * rng.uniform(17, 22) + rng.uniform(0, 6)))


def _dots(u: FloatImage, v: FloatImage, rng: Generator) -> FloatImage:
    x, y = _cells(u, v, rng.uniform(0.25, 0.3))
    return _sharpen(0.3 - np.hypot(x, y), 0.12)


def _checks(u: FloatImage, v: FloatImage, rng: Generator) -> FloatImage:
    step = rng.uniform(14, 18)
    return _sharpen(np.sin((u + v) * 0.75 * step) * np.sin((u - v) * 0.75 * step), 0.2)


def _rings(u: FloatImage, v: FloatImage, rng: Generator) -> FloatImage:
    return _sharpen(np.sin(np.hypot(u + 0.1, v) * rng.uniform(20, 26) + rng.uniform(0, 6)))


def _scales(u: FloatImage, v: FloatImage, rng: Generator) -> FloatImage:
    x, y = _cells(v, u, rng.uniform(0.19, 0.23))
    return as_float(np.clip(1.25 - 1.7 * np.hypot(x, y - 0.45), 0, 1))


def _zigzag(u: FloatImage, v: FloatImage, rng: Generator) -> FloatImage:
    wave = np.abs((v * rng.uniform(2.2, 2.8)) % 1 - 0.5) * 4
    return _sharpen(np.sin(u * rng.uniform(15, 19) + wave * 2))


def _spots(u: FloatImage, _: FloatImage, rng: Generator) -> FloatImage:
    height, width = u.shape
    noise = fractal_noise(rng, (width, height), max(5.0, 0.09 * max(width, height)), octaves=1)
    return _sharpen(noise - 0.56, 0.08)


def _mesh(u: FloatImage, v: FloatImage, rng: Generator) -> FloatImage:
    step = rng.uniform(13, 16)
    nearest = np.minimum(np.abs(np.sin((u + 0.6 * v) * step / 2)), np.abs(np.sin((u - 0.6 * v) * step / 2)))
    return _sharpen(0.3 - nearest, 0.15)


def _fan(u: FloatImage, v: FloatImage, rng: Generator) -> FloatImage:
    return _sharpen(np.sin(np.arctan2(v, u + 0.95) * rng.uniform(24, 30)))


def _waves(u: FloatImage, v: FloatImage, rng: Generator) -> FloatImage:
    bent = 1.3 * np.sin(u * rng.uniform(7, 9) + rng.uniform(0, 6))
    return _sharpen(np.sin(v * rng.uniform(16, 20) + bent))


def _spiral(u: FloatImage, v: FloatImage, rng: Generator) -> FloatImage:
    turn = 3 * np.arctan2(v, u + 0.05)
    return _sharpen(np.sin(np.log(np.hypot(u + 0.05, v) + 0.05) * rng.uniform(6, 8) + turn))


# Each maps body coordinates u, v (head at u = 1, about [-1, 1]) to the share of the second colour, in [0, 1].
PATTERNS: tuple[Pattern, ...] = (
    _dots,
    _bands,
    _checks,
    _rings,
    _scales,
    _lines,
    _spots,
    _zigzag,
    _mesh,
    _fan,
    _waves,
    _spiral,
)
