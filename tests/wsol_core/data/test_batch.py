"""A batch on its way to a device."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from wsol_core.data.batch import Batch, CorrectedObjects
from wsol_core.records import BOX_REGION, MASK_REGION


def test_a_batch_keeps_its_values_on_a_device_with_images_in_channels_last() -> None:
    images, region = torch.rand(2, 3, 8, 8), torch.rand(2, 2, 2)
    batch = Batch(images, torch.eye(2), torch.tensor([0, 1]), torch.zeros(2, dtype=torch.long), region, images[:1])
    moved = batch.to(torch.device("cpu"))
    assert moved.images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(moved.images, images)
    assert torch.equal(moved.region, region)
    assert moved.backgrounds is not None
    assert torch.equal(moved.backgrounds, images[:1])


def test_boxed_targets_are_the_target_classs_objects_in_images_that_have_boxes_alone() -> None:
    objects = CorrectedObjects(
        image=torch.tensor([0, 0, 1, 2]),
        label=torch.tensor([1, 0, 1, 1]),
        boxes=torch.arange(16.0).reshape(4, 4),
        masks=torch.zeros(4, 16, 16),
        has_mask=torch.tensor([False, False, True, False]),
    )
    batch = Batch(
        images=torch.zeros(3, 3, 32, 32),
        labels=torch.ones(3, 2),
        target=torch.tensor([1, 1, 0]),
        region_kind=torch.tensor([BOX_REGION, MASK_REGION, BOX_REGION]),
        region=torch.zeros(3, 8, 8),
        objects=objects,
    )
    image, boxes = batch.boxed_targets() or pytest.fail("there is one")
    assert (image.tolist(), boxes.tolist()) == ([0], [[0, 1, 2, 3]])
    assert replace(batch, objects=None).boxed_targets() is None


def test_objects_of_a_part_of_the_batch_are_counted_from_its_first_image() -> None:
    nothing = torch.zeros(3, 4), torch.zeros(3, 16, 16), torch.zeros(3, dtype=torch.bool)
    objects = CorrectedObjects(torch.tensor([0, 2, 3]), torch.tensor([5, 6, 7]), *nothing)
    part = objects.of_images(2, 4)
    assert (part.image.tolist(), part.label.tolist()) == ([0, 1], [6, 7])
