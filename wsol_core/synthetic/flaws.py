"""The shapes of defects: scratches, spots, inclusions, cracks, stains, pits. Coverage (H, W); nothing is painted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from wsol_core.synthetic.pixels import FloatImage, Points, as_float, fill, spin
from wsol_core.synthetic.textures import fractal_noise

DOUBLE = 2  # shapes are drawn twice as large and then reduced, which smooths their edges


@dataclass(frozen=True, slots=True)
class Place:
    """Where a defect is drawn.

    Attributes:
        size_wh: of the picture.
        centre_xy: of the defect, anywhere in the picture.
        grain: direction of the surface's grain, in radians.
        scale_px: square root of the area in pixels that the defect is meant to have.
    """

    size_wh: tuple[int, int]
    centre_xy: tuple[float, float]
    grain: float
    scale_px: float


Shape = Callable[[Generator, Place], FloatImage]


def _covered(place: Place, polygons: list[Points]) -> FloatImage:
    """Coverage (H, W) in [0, 1] of polygons around the place's centre."""
    width, height = place.size_wh
    canvas = np.zeros((DOUBLE * height, DOUBLE * width), np.uint8)
    for polygon in polygons:
        fill(canvas, DOUBLE * (polygon + place.centre_xy), 255)
    return as_float(cv2.resize(canvas, place.size_wh, interpolation=cv2.INTER_AREA) / np.float32(255))


def _stroke(middle: Points, half_width: NDArray[np.float64]) -> Points:
    """The outline of a line (K, 2) whose half width at each of its points is given, (K,)."""
    along = np.gradient(middle, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    side = normal * half_width[:, None]
    return np.concatenate([middle + side, (middle - side)[::-1]])


def _blob(rng: Generator, radius_px: float, longer: float, ragged: float, turn: float) -> Points:
    """A closed outline around 0 whose area is about that of a disc of the radius; `longer` along `turn`."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    waves = [ragged / wave**0.7 * rng.normal() * np.cos(wave * angle + rng.uniform(0, 6.3)) for wave in range(2, 12)]
    radius = radius_px * np.clip(1 + np.sum(waves, axis=0), 0.3, 2)
    shape = np.stack([np.cos(angle) * radius * longer**0.5, np.sin(angle) * radius / longer**0.5], axis=1)
    blob: Points = shape @ spin(turn)
    return blob


def _scratch(rng: Generator, place: Place) -> FloatImage:
    """One long thin line, slightly bent and tapered, or two or three beside each other."""
    turn = place.grain + rng.normal(0, 0.15) if rng.random() < 0.4 else rng.uniform(0, np.pi)
    strokes = int(rng.choice([1, 1, 1, 2, 3]))
    length = place.scale_px * rng.uniform(7, 13)
    half = max(0.9, place.scale_px**2 / length / strokes * 0.62)
    t = np.linspace(-0.5, 0.5, 40)
    bend = rng.normal(0, 0.04)
    polygons = []
    for number in range(strokes):
        part = 1.0 if number == 0 else rng.uniform(0.5, 0.9)
        aside = number * (2 * half + rng.uniform(2, 5))
        wobble = np.interp(t, np.linspace(-0.5, 0.5, 7), rng.normal(0, 0.006, 7))
        middle = np.stack([t * part, bend * (4 * t**2 - 1) * part + wobble], axis=1) * length
        taper = np.clip(np.sin(np.pi * (t + 0.5)), 0, 1) ** 0.4 * np.interp(
            t, t[::6], rng.uniform(0.7, 1.2, len(t[::6]))
        )
        offset = np.array([rng.normal(0, 0.1) * length * (number > 0), aside])
        polygons.append((_stroke(middle, half * taper) + offset) @ spin(turn))
    return _covered(place, polygons)


def _spot(rng: Generator, place: Place) -> FloatImage:
    """A round patch with a wavy edge."""
    radius = place.scale_px / np.pi**0.5
    return _covered(place, [_blob(rng, radius, rng.uniform(1, 1.5), 0.05, rng.uniform(0, np.pi))])


def _inclusion(rng: Generator, place: Place) -> FloatImage:
    """Ragged flakes in a row, drawn out along the grain."""
    flakes = int(rng.integers(1, 5))
    shares = rng.dirichlet(np.full(flakes, 3.0))
    turn = place.grain + rng.normal(0, 0.08)
    polygons, at = [], 0.0
    for share in shares:
        radius, longer = place.scale_px * float(share) ** 0.5 / np.pi**0.5, rng.uniform(3, 7)
        reach = radius * longer**0.5
        aside = rng.normal(0, 0.3) * radius
        centre = np.array([at + reach, aside]) @ spin(turn)
        polygons.append(_blob(rng, radius, longer, 0.16, turn) + centre)
        at += 2 * reach * rng.uniform(0.9, 1.15)
    middle = np.array([at / 2, 0.0]) @ spin(turn)
    return _covered(place, [polygon - middle for polygon in polygons])


def _crack(rng: Generator, place: Place) -> FloatImage:
    """A jagged line that wanders and branches, widest in the middle."""
    length = place.scale_px * rng.uniform(7, 11)
    half = max(0.9, place.scale_px**2 / length * 0.36)
    step = max(2.5, 0.02 * length)
    polygons: list[Points] = []

    def grow(start: Points, turn: float, left_px: float, half_px: float, depth: int) -> Points:
        count = max(4, round(left_px / step))
        turns = turn + np.cumsum(rng.normal(0, 0.28, count)) * 0.55 + rng.normal(0, 0.4, count)
        steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * step
        line: Points = start + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
        taper = np.linspace(1, 0.35, len(line)) * rng.uniform(0.7, 1.3, len(line))
        polygons.append(_stroke(line, half_px * taper))
        for _ in range(int(rng.integers(0, 4)) if depth else 0):
            fork = int(rng.integers(1, count))
            aside = float(turns[fork]) + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)
            grow(line[fork], aside, left_px * rng.uniform(0.15, 0.4), 0.7 * half_px, depth - 1)
        return line

    turn = rng.uniform(0, 2 * np.pi)
    origin = np.zeros(2)
    grow(origin, turn, length / 2, half, 2)
    grow(origin, turn + np.pi, length / 2, half, 2)
    return _covered(place, polygons)


def _stain(rng: Generator, place: Place) -> FloatImage:
    """A patch with a frayed edge, as of a liquid or of scale."""
    width, height = place.size_wh
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    radius = 0.62 * place.scale_px * rng.uniform(0.9, 1.1)
    turned = np.stack([x - place.centre_xy[0], y - place.centre_xy[1]], axis=-1) @ as_float(
        spin(rng.uniform(0, np.pi)).T
    )
    slim = rng.uniform(1, 1.6)
    away = np.hypot(turned[..., 0] / slim**0.5, turned[..., 1] * slim**0.5) / radius
    frayed = fractal_noise(rng, place.size_wh, max(6.0, 1.2 * radius), 5)
    cover = as_float(np.clip((1 + 2.4 * (frayed - 0.5) - away) * radius / 1.5 + 0.5, 0, 1))
    _, parts = cv2.connectedComponents((cover > 0).astype(np.uint8))
    column, row = (min(int(c), side - 1) for c, side in zip(place.centre_xy, place.size_wh, strict=True))
    return as_float(cover * (parts == parts[row, column])) if parts[row, column] else as_float(0 * cover)


def _pits(rng: Generator, place: Place) -> FloatImage:
    """A swarm of small holes with what lies between them."""
    count = int(rng.integers(7, 26))
    spread = place.scale_px * 0.42
    centres = rng.normal(0, spread, (count, 2)) * (1.0, rng.uniform(0.6, 1))
    radius = max(1.3, 0.5 * place.scale_px / count**0.5)
    holes = [_blob(rng, radius * rng.uniform(0.5, 1.2), 1.2, 0.08, 0) + centre for centre in centres]
    return _covered(place, holes)


@dataclass(frozen=True, slots=True)
class Flaw:
    """A class of defects: its shape, and the share of the picture that it covers at most."""

    shape: Shape
    largest: float


FLAWS: Mapping[str, Flaw] = {
    "scratch": Flaw(_scratch, 0.015),
    "spot": Flaw(_spot, 0.06),
    "inclusion": Flaw(_inclusion, 0.05),
    "crack": Flaw(_crack, 0.04),
    "stain": Flaw(_stain, 0.1),
    "pitting": Flaw(_pits, 0.05),
}
