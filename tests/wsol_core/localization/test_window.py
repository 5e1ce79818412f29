"""Windows of an image: which pixels a box touches, crops, and regions put back into the image."""

from __future__ import annotations

import numpy as np

from wsol_core.localization.window import Window
from wsol_core.records import Region

IMAGE_WH = (20, 10)


def test_a_box_touches_every_pixel_that_it_overlaps_within_the_image() -> None:
    window = Window.touched_by((1.9, -3.0, 4.1, 50.0), IMAGE_WH)
    assert (window.x0, window.y0, window.x1, window.y1) == (1, 0, 5, 10)
    assert (window.size_wh, window.area) == ((4, 10), 40)


def test_a_window_grows_by_shares_of_its_own_sides() -> None:
    grown = Window(8, 4, 12, 6, IMAGE_WH).grown(0.5)
    assert grown == Window(6, 3, 14, 7, IMAGE_WH)
    assert Window(8, 4, 12, 6, IMAGE_WH).seen_from(grown) == Window(2, 1, 6, 3, (8, 4))


def test_what_is_found_in_a_crop_lies_at_its_place_in_the_image() -> None:
    window = Window(5, 2, 9, 6, IMAGE_WH)
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[3, 6] = 255
    mask = window.crop(pixels)[..., 0] > 0
    placed = window.place(Region("crab", (1, 1, 2, 2), 0.5, ((1.0, 1.0), (2.0, 1.0), (2.0, 2.0)), mask))
    assert placed.box_xyxy == (6, 3, 7, 4)
    assert placed.polygon == ((6.0, 3.0), (7.0, 3.0), (7.0, 4.0))
    assert np.argwhere(placed.mask).tolist() == [[3, 6]]
