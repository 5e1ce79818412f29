"""Paint one animal: its outline, coat, emblem and light, as a cut-out with an exact alpha. It is placed elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from wsol_core.synthetic.bodies import ANIMALS, Body, Polygon
from wsol_core.synthetic.pixels import Colour, FloatImage, Points, as_float, blur, fill, mix, outline, slopes
from wsol_core.synthetic.textures import PATTERNS, hsv_colour

# Outer and inner colour of a class's emblem; their pairs are all different.
EMBLEM_COLOURS: tuple[Colour, ...] = (
    (226, 30, 36),
    (36, 90, 230),
    (255, 220, 30),
    (40, 190, 70),
    (245, 100, 205),
    (40, 215, 230),
    (250, 246, 240),
    (255, 140, 20),
)
PUPIL_COLOURS: tuple[Colour, ...] = ((16, 14, 20), (250, 248, 244), (96, 40, 130))


@dataclass(frozen=True, slots=True)
class CutOut:
    """rgb: (h, w, 3) in 0..255. alpha: (h, w) in [0, 1]. It touches all four sides of its own frame."""

    rgb: FloatImage
    alpha: FloatImage


def class_pattern(class_index: int) -> int:
    """The pattern (index into PATTERNS) that a class wears most often."""
    return (class_index + class_index // len(PATTERNS) * 5) % len(PATTERNS)


def class_hue(class_index: int) -> float:
    """The hue, in turns, that a class's coats scatter around; neighbours in the list differ by the golden ratio."""
    return 0.05 + 0.618 * class_index


def draw_animal(
    rng: Generator, class_index: int, size_px: float, typical_coat: float, hue_spread: float, emblem: float
) -> CutOut:
    """An animal of the class whose frame has the area `size_px` squared.

    It wears its class's pattern with probability `typical_coat`, else any pattern; its colours are always random.
    """
    body = list(ANIMALS.values())[class_index](rng)
    to_pixels, size_wh = _pose(rng, body, size_px)
    painter = _Painter(rng, body, to_pixels, size_wh)
    pattern = class_pattern(class_index) if rng.random() < typical_coat else int(rng.integers(0, len(PATTERNS)))
    painter.coat(pattern, class_hue(class_index) + rng.normal(0, hue_spread))
    painter.edges()
    painter.light()
    if rng.random() < emblem:
        painter.emblem(class_index)
    return CutOut(painter.rgb, painter.alpha)


def _pose(rng: Generator, body: Body, size_px: float) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The affine map (2, 3) from body coordinates to pixels, and the frame (width, height) that it fills."""
    turn, slim, flip = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.2), rng.choice([-1.0, 1.0])
    shape = np.array([[1.0, rng.normal(0, 0.1)], [0.0, slim * flip]])
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ shape
    points = np.concatenate(body.parts) @ spin.T
    low, high = points.min(axis=0), points.max(axis=0)
    scale = size_px / float(np.sqrt(np.prod(high - low)))
    width, height = np.maximum(np.ceil((high - low) * scale), 8).astype(int)
    return np.concatenate([spin * scale, (-low * scale)[:, None]], axis=1), (int(width), int(height))


class _Painter:
    """The layers of one animal, painted in order onto `rgb` (h, w, 3)."""

    def __init__(self, rng: Generator, body: Body, to_pixels: NDArray[np.float64], size_wh: tuple[int, int]) -> None:
        self.rng, self.body, self.to_pixels = rng, body, to_pixels
        width, height = size_wh
        double = np.zeros((2 * height, 2 * width), np.uint8)
        for part in body.parts:
            fill(double, 2 * self.pixels(part), 255)
        self.alpha = as_float(cv2.resize(as_float(double / 255), size_wh, interpolation=cv2.INTER_AREA))
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        inverse = np.linalg.inv(to_pixels[:, :2])
        shifted = np.stack([x - to_pixels[0, 2], y - to_pixels[1, 2]]).astype(np.float32)
        self.u = np.float32(inverse[0, 0]) * shifted[0] + np.float32(inverse[0, 1]) * shifted[1]
        self.v = np.float32(inverse[1, 0]) * shifted[0] + np.float32(inverse[1, 1]) * shifted[1]
        self.rgb: FloatImage = np.zeros((height, width, 3), np.float32)

    def pixels(self, polygon: Polygon) -> Points:
        placed: Points = polygon @ self.to_pixels[:, :2].T + self.to_pixels[:, 2]
        return placed

    def coat(self, pattern: int, hue: float) -> None:
        """Two contrasting colours, mixed by the pattern."""
        rng = self.rng
        dark_first = rng.random() < 0.5
        values = (rng.uniform(0.3, 0.5), rng.uniform(0.75, 0.95))
        first = hsv_colour(hue, rng.uniform(0.45, 0.9), values[0] if dark_first else values[1])
        second = hsv_colour(hue + rng.uniform(0.12, 0.6), rng.uniform(0.3, 0.9), values[1] if dark_first else values[0])
        self.rgb = mix(first, second, PATTERNS[pattern](self.u, self.v, rng))

    def edges(self) -> None:
        """A thin dark line around every part, so that limbs stand out from the body."""
        lines = np.zeros(self.alpha.shape, np.uint8)
        thick = max(1, round(max(self.alpha.shape) / 90))
        for part in self.body.parts:
            fill(lines, self.pixels(part), 0)
            outline(lines, self.pixels(part), 255, thick)
        self.rgb = mix(self.rgb, 0.4 * self.rgb, as_float(lines / 255))

    def light(self) -> None:
        """A rounded surface lit from one side, and a dim gleam."""
        solid = (self.alpha > 0.5).astype(np.uint8)
        depth = cv2.distanceTransform(cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)
        depth = blur(depth[1:-1, 1:-1], 1.5)
        dome = as_float(np.sqrt(depth / max(float(depth.max()), 1e-6)))
        side = self.rng.uniform(0, 2 * np.pi)
        slope_x, slope_y = slopes(dome)
        slope = slope_x * np.cos(side) + slope_y * np.sin(side)
        shade = 0.62 + 0.42 * dome + np.clip(0.012 * max(self.alpha.shape) * slope, -0.25, 0.25)
        self.rgb = as_float(np.clip(self.rgb * shade[..., None] + 40 * np.clip(dome - 0.75, 0, 1)[..., None], 0, 255))

    def emblem(self, class_index: int) -> None:
        """The small mark that tells the class for certain: two fixed colours and one of four signs."""
        u, v, radius = self.body.emblem
        r = np.hypot(self.u - u, self.v - v) / radius
        outer = EMBLEM_COLOURS[class_index % len(EMBLEM_COLOURS)]
        inner = PUPIL_COLOURS[class_index // len(EMBLEM_COLOURS)]
        x, y = np.abs(self.u - u) / radius, np.abs(self.v - v) / radius
        sign = (r - 0.45, np.minimum(x, y) - 0.2, np.abs(r - 0.4) - 0.18, x - 0.28)[class_index % 4]
        soft = 0.06
        face = mix(outer, inner, as_float(np.clip(-sign / soft, 0, 1)))
        face = mix(face, 0.2 * face, as_float(np.clip((r - 0.86) / soft, 0, 1)))
        self.rgb = mix(self.rgb, face, as_float(np.clip((1 - r) / soft, 0, 1)))
