"""The animals that are drawn: outlines by class as polygons in body coordinates. No colours and no pixels here.

Body coordinates (u, v): the head points to u = 1, everything lies within about [-1.3, 1.3].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Polygon = NDArray[np.float64]  # (K, 2) points (u, v)


@dataclass(frozen=True, slots=True)
class Body:
    """Overlapping parts, painted first to last, and the (u, v, radius) of the emblem that names the class."""

    parts: list[Polygon]
    emblem: tuple[float, float, float]


def oval(u: float, v: float, radius_u: float, radius_v: float, turn: float = 0.0) -> Polygon:
    """An ellipse around (u, v), turned by `turn` radians."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x, y = radius_u * np.cos(angle), radius_v * np.sin(angle)
    return np.stack([u + x * np.cos(turn) - y * np.sin(turn), v + x * np.sin(turn) + y * np.cos(turn)], axis=1)


def limb(points: list[tuple[float, float]], start: float, end: float) -> Polygon:
    """A bent limb along `points`, its half width going from `start` to `end`."""
    line = np.array(points, float)
    knots = np.linspace(0, 1, len(line))
    along = np.linspace(0, 1, 4 * len(line))
    spine = np.stack([np.interp(along, knots, line[:, axis]) for axis in (0, 1)], axis=1)
    forward = np.gradient(spine, axis=0)
    normal = np.stack([-forward[:, 1], forward[:, 0]], axis=1) / (np.linalg.norm(forward, axis=1)[:, None] + 1e-9)
    half_width = np.interp(along, (0, 1), (start, end))[:, None]
    return np.concatenate([spine + normal * half_width, (spine - normal * half_width)[::-1]])


def lobes(count: int, depth: float, power: float = 1.0, phase: float = 0.0) -> Polygon:
    """A star of `count` arms: radius 1 at their tips, 1 - `depth` between them; a higher `power` sharpens the tips."""
    angle = np.linspace(0, 2 * np.pi, 144, endpoint=False)
    radius = 1 - depth * (1 - (0.5 + 0.5 * np.cos(count * (angle - phase))) ** power)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def both_sides(parts: list[Polygon]) -> list[Polygon]:
    """The parts and their mirror images."""
    return parts + [part * np.array([1.0, -1.0]) for part in parts]


def legs(places: list[tuple[float, float]], reach: float, width: float) -> list[Polygon]:
    """Pairs of bent legs; each place is (u of the hip, u of the foot)."""
    bend = 0.62 * reach
    return both_sides(
        [limb([(hip, 0.2), (0.5 * (hip + foot), bend), (foot, reach)], width, width / 2) for hip, foot in places]
    )


def _ladybird(rng: Generator) -> Body:
    hips = [(0.4, 0.6), (0.0, 0.0), (-0.4, -0.65)]
    parts = [*legs(hips, rng.uniform(0.8, 0.95), 0.09), oval(0.62, 0, 0.34, 0.4), oval(-0.1, 0, 0.8, 0.68)]
    return Body(parts, (0.62, 0.0, 0.25))


def _fish(rng: Generator) -> Body:
    tail = rng.uniform(0.4, 0.55)
    fins = [np.array([(-0.75, 0.0), (-1.25, tail), (-1.08, 0.0), (-1.25, -tail)])]
    fins += [
        np.array([(0.25, 0.35), (-0.35, 0.72), (-0.5, 0.3)]),
        np.array([(0.1, -0.35), (-0.25, -0.65), (-0.4, -0.3)]),
    ]
    return Body([*fins, oval(0.05, 0, 0.95, rng.uniform(0.42, 0.55))], (0.62, 0.0, 0.22))


def _crab(rng: Generator) -> Body:
    hips = [(0.2, 0.35), (-0.1, -0.15), (-0.3, -0.6)]
    claw = both_sides([limb([(0.3, 0.5), (0.65, 0.85), (0.85, 0.6)], 0.12, 0.1), oval(0.98, 0.5, 0.3, 0.19, -0.5)])
    return Body([*legs(hips, rng.uniform(1.0, 1.15), 0.1), *claw, oval(0, 0, 0.6, 0.8)], (0.38, 0.0, 0.24))


def _starfish(rng: Generator) -> Body:
    return Body([lobes(5, rng.uniform(0.5, 0.6), 1.3)], (0.42, 0.0, 0.23))


def _turtle(rng: Generator) -> Body:
    flippers = both_sides([oval(0.5, 0.62, 0.42, 0.18, 0.9), oval(-0.6, 0.5, 0.3, 0.16, -0.8)])
    head = [oval(0.92, 0, 0.32, 0.25), limb([(-0.7, 0), (-1.1, 0)], 0.1, 0.02)]
    return Body([*flippers, *head, oval(0, 0, rng.uniform(0.7, 0.8), 0.64)], (0.92, 0.0, 0.22))


def _butterfly(rng: Generator) -> Body:
    wings = both_sides([oval(0.3, 0.6, rng.uniform(0.42, 0.52), 0.6, -0.35), oval(-0.45, 0.48, 0.42, 0.45, 0.4)])
    return Body([*wings, oval(0, 0, 0.75, 0.13)], (0.42, 0.68, 0.24))


def _snail(rng: Generator) -> Body:
    foot = [limb([(-1.05, -0.5), (0.0, -0.58), (0.8, -0.5), (1.0, -0.1)], 0.1, 0.2)]
    horns = [limb([(0.95, 0), (1.15, 0.4)], 0.07, 0.05), limb([(1.0, -0.05), (1.3, 0.2)], 0.07, 0.05)]
    return Body([*foot, *horns, oval(-0.1, 0.1, rng.uniform(0.66, 0.76), 0.66)], (0.95, -0.16, 0.22))


def _octopus(rng: Generator) -> Body:
    sway = rng.uniform(-0.15, 0.15)
    arms = [
        limb([(0.0, 0.7 * v), (-0.5, v + sway), (-1.1, 1.25 * v - sway)], 0.14, 0.06)
        for v in (-0.75, -0.38, 0, 0.38, 0.75)
    ]
    return Body([*arms, oval(0.3, 0, 0.68, 0.62)], (0.5, 0.1, 0.25))


def _spider(rng: Generator) -> Body:
    hips = [(0.45, 0.95), (0.3, 0.4), (0.1, -0.2), (0.0, -0.8)]
    parts = [*legs(hips, rng.uniform(0.95, 1.1), 0.08), oval(-0.4, 0, 0.6, 0.52), oval(0.38, 0, 0.4, 0.36)]
    return Body(parts, (0.45, 0.0, 0.24))


def _bird(rng: Generator) -> Body:
    wing = rng.uniform(0.85, 1.1)
    wings = both_sides([np.array([(0.4, 0.15), (0.15, wing), (-0.2, 0.95 * wing), (-0.4, 0.2)])])
    ends = [
        np.array([(-0.5, 0.0), (-1.15, 0.32), (-1.05, 0.0), (-1.15, -0.32)]),
        np.array([(0.9, 0.14), (1.25, 0), (0.9, -0.14)]),
    ]
    return Body([*wings, *ends, oval(0, 0, 0.75, 0.34), oval(0.72, 0, 0.3, 0.28)], (0.72, 0.0, 0.21))


def _ray(rng: Generator) -> Body:
    width = rng.uniform(0.95, 1.1)
    disc = np.array([(0.85, 0.0), (0.6, 0.3), (0.0, width), (-0.3, 0.55), (-0.65, 0.15)])
    mirrored = (disc * np.array([1.0, -1.0]))[::-1]
    return Body([limb([(-0.5, 0), (-1.2, 0.1)], 0.12, 0.05), np.concatenate([disc, mirrored])], (0.5, 0.0, 0.22))


def _frog(rng: Generator) -> Body:
    reach = rng.uniform(0.75, 0.9)
    hind = both_sides([limb([(-0.4, 0.3), (-0.1, reach), (-0.75, reach), (-0.95, 0.45)], 0.18, 0.1)])
    front = both_sides([limb([(0.35, 0.35), (0.55, 0.75), (0.9, 0.65)], 0.12, 0.08)])
    return Body([*hind, *front, oval(-0.05, 0, 0.72, 0.5), oval(0.6, 0, 0.35, 0.42)], (0.62, 0.0, 0.24))


def _urchin(rng: Generator) -> Body:
    return Body([lobes(int(rng.integers(13, 17)), rng.uniform(0.25, 0.32), 1.5)], (0.36, 0.0, 0.24))


def _squid(rng: Generator) -> Body:
    arms = [limb([(-0.3, v), (-0.8, 1.3 * v), (-1.2, v)], 0.1, 0.05) for v in (-0.3, -0.1, 0.1, 0.3)]
    fin = np.array([(1.2, 0.0), (0.65, rng.uniform(0.55, 0.7)), (0.45, 0.0), (0.65, -rng.uniform(0.55, 0.7))])
    return Body([*arms, fin, oval(0.3, 0, 0.8, 0.32), oval(-0.4, 0, 0.35, 0.36)], (-0.38, 0.0, 0.24))


def _shrimp(rng: Generator) -> Body:
    angle = np.linspace(-0.4, 0.9 * np.pi, 9) + rng.uniform(-0.1, 0.1)
    curve = [(0.72 * float(np.sin(a)), 0.72 * float(np.cos(a)) - 0.1) for a in angle]
    tail = oval(curve[-1][0], curve[-1][1] - 0.15, 0.26, 0.3)
    head = oval(*curve[1], 0.5, 0.4)
    return Body([tail, limb(curve, 0.36, 0.2), head], (curve[1][0] + 0.1, curve[1][1], 0.26))


def _beetle(rng: Generator) -> Body:
    hips = [(0.35, 0.7), (0.0, 0.1), (-0.3, -0.6)]
    horns = both_sides([limb([(0.7, 0.12), (1.05, 0.32), (1.25, 0.08)], 0.1, 0.06)])
    parts = [*legs(hips, rng.uniform(0.75, 0.9), 0.1), *horns, oval(-0.35, 0, 0.78, 0.5), oval(0.5, 0, 0.4, 0.45)]
    return Body(parts, (0.55, 0.0, 0.25))


def _jellyfish(rng: Generator) -> Body:
    sway = rng.uniform(-0.2, 0.2)
    strands = [limb([(0, v), (-0.5, v + sway), (-1.1, v - sway)], 0.1, 0.06) for v in (-0.55, -0.2, 0.2, 0.55)]
    angle = np.linspace(-np.pi / 2, np.pi / 2, 40)
    bell = np.stack([0.95 * np.cos(angle) - 0.1, 0.85 * np.sin(angle)], axis=1)
    return Body([*strands, bell], (0.4, 0.15, 0.24))


def _lizard(rng: Generator) -> Body:
    tail = limb([(-0.3, 0), (-0.8, 0.15), (-1.3, rng.uniform(-0.2, 0.4))], 0.22, 0.05)
    feet = legs([(0.4, 0.7), (-0.35, -0.6)], 0.7, 0.11)
    return Body([tail, *feet, oval(0.05, 0, 0.68, 0.34), oval(0.8, 0, 0.34, 0.29)], (0.8, 0.0, 0.23))


def _whale(rng: Generator) -> Body:
    fluke = both_sides([oval(-1.08, 0.25, 0.17, 0.34, 0.5)])
    fin = both_sides([oval(0.1, 0.52, 0.16, 0.34, 0.6)])
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    girth = rng.uniform(0.5, 0.58) * (0.62 + 0.38 * np.cos(angle))
    return Body(
        [*fluke, *fin, np.stack([1.05 * np.cos(angle), girth * np.sin(angle) * 1.3], axis=1)], (0.62, 0.0, 0.23)
    )


def _owl(rng: Generator) -> Body:
    ears = both_sides([np.array([(0.5, 0.12), (1.1, rng.uniform(0.4, 0.5)), (0.45, 0.58)])])
    wings = both_sides([oval(-0.1, 0.6, 0.6, 0.2, 0.12)])
    return Body([*ears, *wings, oval(-0.1, 0, 0.88, 0.6)], (0.4, 0.0, 0.28))


def _mouse(rng: Generator) -> Body:
    tail = limb([(-0.5, 0), (-0.95, rng.uniform(0.1, 0.3)), (-1.2, -0.1)], 0.1, 0.05)
    ears = both_sides([oval(0.45, 0.45, 0.27, 0.27)])
    return Body([tail, *ears, oval(-0.2, 0, 0.62, 0.54), oval(0.55, 0, 0.5, 0.34)], (0.62, 0.0, 0.23))


def _scallop(rng: Generator) -> Body:
    angle = np.linspace(-1.9, 1.9, 80)
    radius = 1.5 * (0.93 + 0.07 * np.cos(rng.integers(16, 22) * angle / 1.2)) * np.cos(angle / 3.2)
    fan = np.stack([radius * np.cos(angle * 0.55) - 0.8, radius * np.sin(angle * 0.55)], axis=1)
    hinge = np.array([(-0.95, -0.4), (-0.95, 0.4), (-0.5, 0.3), (-0.5, -0.3)])
    return Body([hinge, np.concatenate([fan, [(-0.8, 0.0)]])], (-0.2, 0.0, 0.24))


def _anemone(rng: Generator) -> Body:
    return Body([lobes(8, rng.uniform(0.28, 0.36), 0.6)], (0.4, 0.0, 0.25))


def _snake(rng: Generator) -> Body:
    reach = rng.uniform(0.45, 0.6)
    u = np.linspace(-1.1, 0.9, 14)
    curve = [(float(x), float(reach * np.sin(3.6 * x + 0.4))) for x in u]
    head_u, head_v = curve[-1]
    return Body([limb(curve, 0.1, 0.24), oval(head_u, head_v, 0.3, 0.28)], (head_u, head_v, 0.23))


# Class i of a drawn folder is the i-th of these.
ANIMALS: dict[str, Callable[[Generator], Body]] = {
    "ladybird": _ladybird,
    "fish": _fish,
    "crab": _crab,
    "starfish": _starfish,
    "turtle": _turtle,
    "butterfly": _butterfly,
    "snail": _snail,
    "octopus": _octopus,
    "spider": _spider,
    "bird": _bird,
    "ray": _ray,
    "frog": _frog,
    "urchin": _urchin,
    "squid": _squid,
    "shrimp": _shrimp,
    "beetle": _beetle,
    "jellyfish": _jellyfish,
    "lizard": _lizard,
    "whale": _whale,
    "owl": _owl,
    "mouse": _mouse,
    "scallop": _scallop,
    "anemone": _anemone,
    "snake": _snake,
}

CLASS_NAMES: tuple[str, ...] = tuple(ANIMALS)
