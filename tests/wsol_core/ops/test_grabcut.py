"""graph_cut and pseudo_masks on a red square whose soft map is off by some pixels."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from wsol_core.methods.pseudo_masks import IMAGENET_MEAN, IMAGENET_STD, min_max, pseudo_masks, to_pixels
from wsol_core.ops.grabcut import graph_cut


def red_square_on_noise() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    image = np.random.default_rng(0).integers(80, 120, (64, 64, 3), dtype=np.uint8)
    inside = np.zeros((64, 64), bool)
    inside[20:44, 16:48] = True
    image[inside] = (210, 30, 30)
    return image, inside


def blurred_and_shifted(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    return cv2.GaussianBlur(np.roll(inside, 3, axis=1).astype(np.float32), (0, 0), 4)


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


def test_pixels_survive_normalising_and_back() -> None:
    image, _ = red_square_on_noise()
    assert np.array_equal(to_pixels(normalised(image))[0].numpy(), image)


def test_pseudo_masks_have_half_the_side_and_the_squares_place() -> None:
    image, inside = red_square_on_noise()
    masks = pseudo_masks(normalised(image), torch.from_numpy(blurred_and_shifted(inside))[None])
    assert masks.shape == (1, 32, 32)
    assert torch.equal(masks[0] > 0, torch.from_numpy(inside[::2, ::2]))


def test_no_images_give_no_masks() -> None:
    assert pseudo_masks(torch.zeros(0, 3, 64, 64), torch.zeros(0, 8, 8)).shape == (0, 32, 32)


def test_min_max_stretches_each_map_and_a_flat_one_to_zeros() -> None:
    maps = torch.tensor([[[0.2, 0.4]], [[0.3, 0.3]]])
    assert torch.allclose(min_max(maps), torch.tensor([[[0.0, 1.0]], [[0.0, 0.0]]]))


def normalised(image: NDArray[np.uint8]) -> torch.Tensor:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 - mean) / std
