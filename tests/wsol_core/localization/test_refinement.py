"""Final maps: size, range, and outlines that move to the image's edges."""

from __future__ import annotations

import cv2
import numpy as np

from wsol_core.localization.refinement import SIDE_PX, final_map, refine_edges
from wsol_core.ops.maps import min_max


def test_a_map_of_any_size_becomes_224_and_spans_0_to_1() -> None:
    raw = np.random.default_rng(0).random((7, 9), np.float32) * 0.3 + 0.4
    final = final_map(raw, None)
    assert final.shape == (SIDE_PX, SIDE_PX)
    assert (final.min(), final.max()) == (0.0, 1.0)


def test_the_half_moves_to_the_edge_of_the_image() -> None:
    image = np.random.default_rng(0).integers(80, 110, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    inside = np.zeros((SIDE_PX, SIDE_PX), bool)
    inside[60:160, 50:180] = True
    image[inside] += np.uint8(100)
    soft = min_max(cv2.GaussianBlur(np.roll(inside, 8, axis=1).astype(np.float32), (0, 0), 12))
    snapped = refine_edges(soft, image) > 0.5
    before, after = (np.mean((mask & inside).sum() / (mask | inside).sum()) for mask in (soft > 0.5, snapped))
    assert before < 0.9
    assert after > 0.97


def test_an_empty_map_stays_empty() -> None:
    image = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    assert not final_map(np.zeros((14, 14), np.float32), image).any()
