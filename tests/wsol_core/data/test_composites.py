"""Composites: the truth of what is pasted is exact, touching objects stay apart, and what is hidden is no object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from wsol_core.data import composites
from wsol_core.data.composites import (
    LEAST_VISIBLE,
    MOST_OVERLAP,
    Cutout,
    PlacedObject,
    Scene,
    compose,
    cut_out,
    paste,
)

SIDE = 64
GREEN, RED = (0, 200, 0), (200, 0, 0)


def plain(colour: tuple[int, int, int], h: int = SIDE, w: int = SIDE) -> NDArray[np.uint8]:
    return np.full((h, w, 3), colour, np.uint8)


def a_square(side: int = 20, label: int = 0, colour: tuple[int, int, int] = RED) -> Cutout:
    return Cutout(plain(colour, side, side), np.ones((side, side), np.bool_), label)


def empty_scene(objects: tuple[PlacedObject, ...] = (), ignored: bool = False) -> Scene:
    return Scene(plain(GREEN), objects, np.full((SIDE, SIDE), ignored))


def a_box(label: int, x0: int, y0: int, x1: int, y1: int) -> PlacedObject:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[y0:y1, x0:x1] = True
    return PlacedObject(label, mask, int(mask.sum()))


def test_a_cutout_is_the_part_under_its_mask() -> None:
    pixels = plain(GREEN)
    pixels[10:14, 20:30] = RED
    found = cut_out(pixels, a_box(3, 20, 10, 30, 14).mask, 3)
    assert (found.label, found.mask.shape, found.mask.all()) == (3, (4, 10), True)
    assert (found.pixels == RED).all()


@pytest.mark.parametrize(("place", "box"), [((5, 7), (5, 7, 25, 27)), ((-8, 50), (0, 50, 12, 64))])
def test_a_paste_covers_exactly_its_mask(place: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    pixels = plain(GREEN)
    covered = paste(pixels, a_square(), place, np.random.default_rng(0))
    x0, y0, x1, y1 = box
    assert covered.sum() == (x1 - x0) * (y1 - y0) and covered[y0:y1, x0:x1].all()
    inner = pixels[y0 + 4 : y1 - 4, max(0, x0 + 4) : x1 - 4].astype(int)
    assert np.abs(inner - RED).max() < 20
    outside = np.ones((SIDE, SIDE), bool)
    outside[max(0, y0 - 3) : y1 + 3, max(0, x0 - 3) : x1 + 3] = False
    assert (pixels[outside] == GREEN).all()


def test_what_a_paste_hides_is_no_longer_its_neighbours() -> None:
    there = a_box(1, 20, 20, 44, 44)
    for seed in range(20):
        scene = compose(empty_scene((there,)), [a_square()], np.random.default_rng(seed))
        total = np.sum([each.mask for each in scene.objects], axis=0)
        assert total.max() == 1, "two objects claim a pixel"
        assert all(each.visible >= LEAST_VISIBLE for each in scene.objects)


def test_pasted_objects_are_where_their_colour_is() -> None:
    for seed in range(10):
        scene = compose(empty_scene(), [a_square()], np.random.default_rng(seed))
        covered = np.logical_or.reduce([each.mask for each in scene.objects])
        red = scene.pixels[..., 0].astype(int) > scene.pixels[..., 1]
        assert (red & ~covered).sum() == 0
        assert (covered & ~red).sum() <= 0.4 * covered.sum()  # the soft edge


def test_half_of_all_composites_hold_neighbours_that_touch() -> None:
    touching = 0
    for seed in range(40):
        scene = compose(empty_scene((a_box(0, 22, 22, 42, 42),)), [a_square()], np.random.default_rng(seed))
        masks = [each.mask for each in scene.objects]
        grown = [np.pad(mask, 4)[8:, 4:-4] | np.pad(mask, 4)[:-8, 4:-4] | mask for mask in masks]
        touching += any((grown[i] & masks[j]).any() for i in range(len(masks)) for j in range(len(masks)) if i != j)
    assert touching >= 20


def test_no_two_objects_overlap_more_than_allowed() -> None:
    for seed in range(30):
        scene = compose(empty_scene(), [a_square(), a_square(12, 1)], np.random.default_rng(seed))
        for each in scene.objects:
            assert each.visible >= 1 - 3 * MOST_OVERLAP - 0.25 - 0.01  # three later pastes, and the image's edge


def test_an_object_that_is_hidden_too_far_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composites, "_place", lambda *_: (20, 20))
    scene = compose(empty_scene((a_box(1, 24, 24, 30, 30),)), [a_square()], np.random.default_rng(1))
    assert all(each.label == 0 for each in scene.objects)
    monkeypatch.setattr(composites, "_place", lambda *_: (20, 22))
    half = replace(a_box(1, 20, 20, 40, 26), whole=240)
    scene = compose(empty_scene((half,)), [a_square()], np.random.default_rng(1))
    assert [each.label for each in scene.objects if each.label == 1] == []
    assert scene.ignored[20, 21], "the rest of it tells nothing"


def test_a_paste_makes_known_what_was_ignored_below_it() -> None:
    scene = compose(empty_scene(ignored=True), [a_square()], np.random.default_rng(0))
    covered = np.logical_or.reduce([each.mask for each in scene.objects])
    assert covered.any() and not scene.ignored[covered].any() and scene.ignored[~covered].all()


def test_patches_of_background_are_no_objects() -> None:
    for seed in range(30):
        scene = compose(empty_scene(), [a_square(), a_square(16, -1, GREEN)], np.random.default_rng(seed))
        assert {each.label for each in scene.objects} <= {0}


def test_without_cutouts_the_canvas_stays_as_it_is() -> None:
    canvas = empty_scene((a_box(0, 1, 1, 9, 9),))
    scene = compose(canvas, [], np.random.default_rng(0))
    assert (scene.pixels == canvas.pixels).all() and scene.objects == canvas.objects


def test_the_same_random_numbers_make_the_same_composite() -> None:
    first, second = (compose(empty_scene(), [a_square()], np.random.default_rng(5)) for _ in range(2))
    assert (first.pixels == second.pixels).all()
    assert [each.mask.tobytes() for each in first.objects] == [each.mask.tobytes() for each in second.objects]
