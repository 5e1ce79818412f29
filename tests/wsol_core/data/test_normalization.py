"""Pixels as network input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wsol_core.data.normalization import IMAGENET_MEAN, IMAGENET_STD, to_images


def test_mean_and_deviation_are_removed_in_each_channel() -> None:
    pixels = np.zeros((2, 3, 4, 3), np.uint8)
    pixels[0, 1, 2] = (255, 51, 0)
    image = to_images(pixels)[0, :, 1, 2].tolist()
    expected = [(v - m) / s for v, m, s in zip((1, 0.2, 0), IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    assert image == pytest.approx(expected, abs=1e-5)


def test_images_lie_in_channels_last_memory() -> None:
    images = to_images(np.zeros((2, 6, 4, 3), np.uint8))
    assert images.shape == (2, 3, 6, 4)
    assert images.is_contiguous(memory_format=torch.channels_last)
