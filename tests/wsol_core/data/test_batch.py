"""A batch on its way to a device."""

from __future__ import annotations

import torch

from wsol_core.data.batch import Batch


def test_a_batch_keeps_its_values_on_a_device_with_images_in_channels_last() -> None:
    images, region = torch.rand(2, 3, 8, 8), torch.rand(2, 2, 2)
    batch = Batch(images, torch.eye(2), torch.tensor([0, 1]), torch.zeros(2, dtype=torch.long), region, images[:1])
    moved = batch.to(torch.device("cpu"))
    assert moved.images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(moved.images, images)
    assert torch.equal(moved.region, region)
    assert moved.backgrounds is not None
    assert torch.equal(moved.backgrounds, images[:1])
