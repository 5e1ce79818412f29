"""Masks, boxes and maps over an image."""

from __future__ import annotations

import numpy as np

from wsol_core.evaluation.overlay import MASK, PREDICTED, TRUE, draw_heatmap, draw_overlay


def test_boxes_are_scaled_with_their_image() -> None:
    black = np.zeros((50, 50, 3), np.uint8)
    drawn = draw_overlay(black, (100, 100), boxes_xyxy=((10, 20, 40, 45),), true_boxes_xyxy=((0, 0, 5, 5),))
    yellow = np.argwhere((drawn == PREDICTED).all(axis=2))
    # the line is two pixels thick, so it may reach one pixel over the edge
    assert np.abs(yellow.min(axis=0) - (40, 20)).max() <= 1
    assert np.abs(yellow.max(axis=0) - (89, 79)).max() <= 1
    assert (drawn[0, :10] == TRUE).all()
    assert (drawn[9, :10] == TRUE).all()


def test_a_mask_tints_its_pixels_and_no_others() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    drawn = draw_overlay(np.zeros((40, 40, 3), np.uint8), (40, 40), mask)
    assert drawn[20, 20].tolist() == [round(0.4 * channel) for channel in MASK]
    assert tuple(drawn[10, 10]) == MASK
    assert not drawn[~mask].any()


def test_no_box_hides_the_line_of_another() -> None:
    white = np.full((40, 40, 3), 255, np.uint8)
    drawn = draw_overlay(white, (40, 40), boxes_xyxy=((10, 10, 30, 30),), true_boxes_xyxy=((10, 12, 34, 34),))
    assert (drawn[33, 12:33] == TRUE).all()
    assert (drawn[12, 14:26] == TRUE).all()


def test_drawing_leaves_the_image_as_it_was() -> None:
    image = np.full((20, 20, 3), 100, np.uint8)
    mask = np.ones((20, 20), bool)
    draw_overlay(image, (20, 20), mask, boxes_xyxy=((2, 2, 9, 9),))
    draw_heatmap(image, (20, 20), np.eye(20, dtype=np.float32))
    assert (image == 100).all() and mask.all()


def test_a_heatmap_is_brightest_where_the_map_is() -> None:
    score_map = np.zeros((10, 10), np.float32)
    score_map[:5] = 1
    drawn = draw_heatmap(np.full((20, 20, 3), 100, np.uint8), (20, 20), score_map)
    assert drawn.shape == (20, 20, 3)
    assert drawn[2].mean() > 150 > 60 > drawn[17].mean()
