"""pseudo_masks on a red square whose soft map is off by some pixels."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.wsol_core.red_square import blurred_and_shifted, red_square_on_noise
from wsol_core.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from wsol_core.methods.pseudo_masks import pseudo_masks, to_pixels


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


def normalised(image: NDArray[np.uint8]) -> torch.Tensor:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 - mean) / std


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_makes_masks_too_where_its_parent_has_made_some() -> None:
    images, maps = torch.rand(2, 3, 32, 32), torch.rand(2, 32, 32)
    expected = pseudo_masks(images, maps)
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # it would wait for threads that it does not have
        os._exit(not torch.equal(pseudo_masks(images, maps), expected))
    assert os.waitpid(child, 0)[1] == 0
