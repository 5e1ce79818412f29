"""Draw one picture of a surface, without defects or with one to five that lie anywhere, with a mask and box of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.random import Generator

from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask
from wsol_core.synthetic.compositing import photograph
from wsol_core.synthetic.flaws import FLAWS, Place
from wsol_core.synthetic.groups import DrawnGroup, DrawnObject
from wsol_core.synthetic.pixels import FloatImage, RgbImage, as_float, as_rgb, blur, mix, slopes
from wsol_core.synthetic.surfaces import Surface, draw_surface
from wsol_core.synthetic.textures import fractal_noise

DEFECT_NAMES = tuple(FLAWS)
STREAM = 3  # keeps these pictures' random numbers apart from those of animals
COUNTS = (0.4, 0.25, 0.15, 0.1, 0.1)  # how often a picture has 1, 2, ... 5 defects
OTHER_CLASS = 0.15  # how often a defect is of another class than the picture is listed under
SMALLEST, LARGEST = 0.001, 0.1  # shares of the picture that a defect covers
NEAR = 1.5  # a shape is good if its area is within this factor of the one that was drawn by lot
MONOCHROME = 0.5  # how often a picture has no colour
APART_PX = 6  # defects are further apart than this
TRIES = 40


def draw_defects(seed: int, index: int, classes: int, sides_px: tuple[int, int] = (256, 400)) -> DrawnGroup:
    """Image `index` of the data set `seed`: one to five defects on a surface, each centred anywhere.

    One of them, whose label comes first, is of the class that the index modulo `classes` names. Nothing but defects
    depends on the class. Both sides are drawn from `sides_px`, first and last included.
    """
    ground, rng = (np.random.default_rng([seed, index, STREAM, part]) for part in (0, 1))
    surface, canvas = _empty(ground, sides_px)
    objects: list[DrawnObject] = []
    taken = np.zeros(canvas.shape[:2], np.bool_)
    for number in range(1 + int(rng.choice(len(COUNTS), p=COUNTS))):
        other = classes > 1 and number > 0 and rng.random() < OTHER_CLASS
        label = DEFECT_NAMES[int(rng.integers(classes)) if other else index % classes]
        cover = _find_shape(rng, label, surface, taken, must=number == 0)
        if cover is not None:
            mask = _outlined(label, cover)
            canvas = _LOOKS[label](rng, canvas, cover)
            taken |= mask
            objects.append(DrawnObject(label, mask, bounds(mask)))
    labels = tuple(dict.fromkeys(each.label for each in objects))
    return DrawnGroup(_inspected(ground, canvas), labels, tuple(objects))


def draw_flawless(seed: int, index: int, sides_px: tuple[int, int] = (256, 400)) -> RgbImage:
    """A picture of a surface like those of `draw_defects`, without any."""
    rng = np.random.default_rng([seed, index, STREAM, 2])
    return _inspected(rng, _empty(rng, sides_px)[1])


def _inspected(rng: Generator, canvas: FloatImage) -> RgbImage:
    """What the camera makes of it; many inspection cameras see no colour."""
    image = photograph(rng, as_rgb(canvas))
    if rng.random() < MONOCHROME:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = np.repeat(grey[..., None], 3, axis=2)
    return image


def _empty(rng: Generator, sides_px: tuple[int, int]) -> tuple[Surface, FloatImage]:
    width, height = (int(side) for side in rng.integers(sides_px[0], sides_px[1] + 1, 2))
    surface = draw_surface(rng, (width, height))
    return surface, as_float(surface.image)


def _find_shape(rng: Generator, label: str, surface: Surface, taken: BoolMask, must: bool) -> FloatImage | None:
    """The coverage (H, W) of a defect that is apart from others; None where none was found, unless there `must` be."""
    height, width = taken.shape
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * APART_PX + 1, 2 * APART_PX + 1))
    closed = cv2.dilate(taken.astype(np.uint8), disc) > 0
    tries = 0
    while must or tries < TRIES:
        tries += 1
        share = float(np.exp(rng.uniform(np.log(SMALLEST), np.log(FLAWS[label].largest))))
        centre = (float(rng.uniform(0, width)), float(rng.uniform(0, height)))
        grain = 0.0 if surface.lengthwise else np.pi / 2
        cover = FLAWS[label].shape(rng, Place((width, height), centre, grain, (share * width * height) ** 0.5))
        mask = _outlined(label, cover)
        found = float(mask.mean())
        fits = share / NEAR <= found <= share * NEAR and SMALLEST <= found <= LARGEST
        if fits and not (mask & closed).any():
            return cover
    return None


def _outlined(label: str, cover: FloatImage) -> BoolMask:
    """The mask of a defect: where it covers half a pixel or more; a swarm of pits is one defect."""
    mask = cover >= 0.5
    if label == "pitting" and mask.any():
        gap = max(3, round(0.35 * float(np.count_nonzero(mask)) ** 0.5))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap + 1, 2 * gap + 1))
        mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc, borderType=cv2.BORDER_CONSTANT) > 0
    return mask


Look = Callable[[Generator, FloatImage, FloatImage], FloatImage]


def _grooved(rng: Generator, canvas: FloatImage, cover: FloatImage) -> FloatImage:
    """Bare metal shines in a scratch; now and then it is a dark groove with one bright edge."""
    size_wh = (cover.shape[1], cover.shape[0])
    uneven = 0.55 + 0.9 * (fractal_noise(rng, size_wh, 14, 3) - 0.2)
    shine = rng.uniform(45, 110) * (1 if rng.random() < 0.75 else -0.8)
    slope_x, slope_y = slopes(blur(cover, 0.8))
    edge = rng.uniform(8, 25) * (slope_x + slope_y)
    return as_float(canvas + (shine * uneven * cover + edge)[..., None])


def _darkened(least: float, most: float, softness_px: float, mottled: float, tint: float) -> Look:
    """A look that darkens what is covered by a share from `least` to `most`, unevenly and with a tint."""

    def look(rng: Generator, canvas: FloatImage, cover: FloatImage) -> FloatImage:
        size_wh = (cover.shape[1], cover.shape[0])
        soft = blur(cover, rng.uniform(0.4, softness_px))
        depth = rng.uniform(least, most) * (1 + mottled * (fractal_noise(rng, size_wh, rng.uniform(5, 20), 4) - 0.5))
        warm = np.array([rng.normal(tint, tint / 2 + 0.01), 0.0, -rng.normal(tint, tint / 2 + 0.01)], np.float32)
        share = np.clip(soft * depth, 0, 0.95)[..., None]
        return as_float(canvas * (1 - share * (1 - warm)))

    return look


def _spotted(rng: Generator, canvas: FloatImage, cover: FloatImage) -> FloatImage:
    """A drop that has dried: dark or light, its rim more than its middle."""
    soft = blur(cover, rng.uniform(0.6, 1.6))
    radius = max(1.5, 0.25 * float(np.count_nonzero(cover > 0.5)) ** 0.5)
    rim = np.clip(soft - blur(cover, radius), 0, 1) * soft
    tone = as_float([rng.uniform(20, 70)] * 3 if rng.random() < 0.7 else [rng.uniform(215, 250)] * 3)
    tone = as_float(tone + rng.normal(0, 6, 3))
    share = soft * rng.uniform(0.45, 0.8) * (1 - rng.uniform(0, 0.35) * (1 - rim))
    return mix(canvas, np.broadcast_to(tone, canvas.shape), as_float(np.clip(share, 0, 1)))


def _pitted(rng: Generator, canvas: FloatImage, cover: FloatImage) -> FloatImage:
    """Holes in shadow, lit on the edge away from the light."""
    slope_x, slope_y = slopes(blur(cover, 0.7))
    light = rng.uniform(0.04, 0.09) * (slope_x + slope_y)
    return as_float(canvas * (1 - rng.uniform(0.35, 0.65) * cover - light)[..., None])


_LOOKS: Mapping[str, Look] = {
    "scratch": _grooved,
    "spot": _spotted,
    "inclusion": _darkened(0.4, 0.75, 0.8, 1.2, 0.02),
    "crack": _darkened(0.55, 0.85, 0.6, 0.5, 0.0),
    "stain": _darkened(0.2, 0.5, 2.0, 1.4, 0.12),
    "pitting": _pitted,
}
