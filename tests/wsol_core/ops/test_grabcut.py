"""graph_cut on a red square whose soft map is off by some pixels."""

from __future__ import annotations

import numpy as np

from tests.wsol_core.red_square import blurred_and_shifted, red_square_on_noise
from wsol_core.ops.grabcut import graph_cut


def test_the_cut_finds_the_square_that_the_map_only_hints_at() -> None:
    image, inside = red_square_on_noise()
    assert np.array_equal(graph_cut(image, blurred_and_shifted(inside)) > 0, inside)


def test_the_same_image_is_cut_the_same_way_whatever_was_cut_before() -> None:
    image, inside = red_square_on_noise()
    soft = blurred_and_shifted(inside)
    first = graph_cut(image, soft)
    graph_cut(image[::-1].copy(), 1 - soft)
    assert np.array_equal(graph_cut(image, soft), first)


def test_an_empty_and_a_full_map_come_back_unchanged() -> None:
    image, _ = red_square_on_noise()
    for value in (0.0, 1.0):
        flat = np.full((64, 64), value, np.float32)
        assert np.array_equal(graph_cut(image, flat), flat)
