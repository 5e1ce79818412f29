"""Views move pixels, masks and boxes together."""

from __future__ import annotations

import numpy as np
import pytest

from wsol_core.data.transforms import Augmentation, View, draw_view

PLAIN = Augmentation(mirror=0.0, jitter=0.0)
RAMP = np.tile(np.arange(8, dtype=np.uint8)[None, :, None], (8, 1, 3))  # the value is the column


def test_a_plain_crop_copies_pixels() -> None:
    assert View(3, 0, 4, 4, mirrored=False).of_pixels(RAMP)[0, :, 0].tolist() == [3, 4, 5, 6]
    assert View(3, 0, 4, 4, mirrored=True).of_pixels(RAMP)[0, :, 0].tolist() == [6, 5, 4, 3]


def test_a_zoomed_view_interpolates_between_pixel_centres() -> None:
    steps = RAMP * 16
    assert View(2, 0, 4, 8, mirrored=False).of_pixels(steps)[4, :, 0].tolist() == [28, 36, 44, 52, 60, 68, 76, 84]
    assert View(2, 0, 4, 8, mirrored=True).of_pixels(steps)[4, :, 0].tolist() == [84, 76, 68, 60, 52, 44, 36, 28]


def test_a_mask_is_averaged_over_cells() -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 3:] = 255
    view = View(0, 0, 8, 8, mirrored=False)
    assert view.of_mask(mask, 4)[0].tolist() == pytest.approx([0, 0.5, 1, 1], abs=0.01)
    assert View(0, 0, 8, 8, mirrored=True).of_mask(mask, 4)[0].tolist() == pytest.approx([1, 1, 0.5, 0], abs=0.01)


def test_a_box_covers_shares_of_cells() -> None:
    box = np.array([[0.25, 0.0, 0.625, 0.5]], np.float32)  # columns 2 to 5, rows 0 to 4 of 8
    cover = View(0, 0, 8, 8, mirrored=False).of_boxes(box, 8, 4)
    assert cover.tolist() == [[0, 1, 0.5, 0], [0, 1, 0.5, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    shifted = View(2, 0, 4, 4, mirrored=True).of_boxes(box, 8, 4)
    assert shifted[0].tolist() == [0, 1, 1, 1]


def test_boxes_are_united_and_not_added() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.5]], np.float32)
    assert View(0, 0, 8, 8, mirrored=False).of_boxes(boxes, 8, 2).tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.5, 2.0)])
@pytest.mark.parametrize("seed", range(5))
def test_the_same_object_is_seen_in_pixels_mask_and_box(zoom: tuple[float, float], seed: int) -> None:
    mask = np.zeros((48, 48), np.uint8)
    mask[12:36, 6:30] = 255
    pixels = np.repeat(mask[..., None], 3, axis=2)
    box = (np.array([[6, 12, 30, 36]]) / 48).astype(np.float32)
    view = draw_view(np.random.default_rng(seed), pixels, 32, Augmentation(zoom=zoom, jitter=0.0))
    seen = view.of_pixels(pixels)[..., 0].reshape(8, 4, 8, 4).mean((1, 3)) / 255
    assert np.allclose(seen, view.of_mask(mask, 8), atol=0.01)
    assert np.abs(seen - view.of_boxes(box, 48, 8)).max() < 0.15  # a zoomed edge is soft in pixels only


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.1, 10.0)])
def test_no_view_reaches_beyond_the_image(zoom: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        view = draw_view(rng, RAMP, 6, Augmentation(zoom=zoom))
        assert 0 <= view.x <= view.x + view.extent <= 8
        assert 0 <= view.y <= view.y + view.extent <= 8


def test_the_same_random_numbers_give_the_same_view() -> None:
    views = [draw_view(np.random.default_rng(4), RAMP, 6, Augmentation()).of_pixels(RAMP) for _ in "ab"]
    assert (views[0] == views[1]).all()


def test_without_jitter_and_mirror_only_the_place_is_random() -> None:
    view = draw_view(np.random.default_rng(0), RAMP, 8, PLAIN)
    assert (view.of_pixels(RAMP) == RAMP).all()


def test_jitter_keeps_grey_grey_and_stays_mild() -> None:
    flat = np.full((8, 8, 3), 100, np.uint8)
    for seed in range(20):
        seen = draw_view(np.random.default_rng(seed), flat, 8, Augmentation(mirror=0.0, jitter=0.2)).of_pixels(flat)
        assert np.ptp(seen) <= 1  # contrast leaves the mean alone, saturation leaves grey alone
        assert 79 <= int(seen[0, 0, 0]) <= 121
