"""Cuts of a batch in torch, beside OpenCV's cuts of the same images."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.wsol_core.red_square import blurred_and_shifted, red_square_on_noise
from wsol_core.ops.batched_grabcut import batched_graph_cuts, edge_weights
from wsol_core.ops.grabcut import graph_cut
from wsol_core.records import BoolMask, FloatMap
from wsol_core.synthetic.single import draw_image

SIDE_PX = 112


def drawn_animals(count: int) -> tuple[list[NDArray[np.uint8]], list[FloatMap]]:
    """Images of animals in clutter, and their masks blurred and moved."""
    images, maps = [], []
    for index in range(count):
        drawn = draw_image(0, index, 5)
        images.append(cv2.resize(drawn.image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA))
        mask = cv2.resize(drawn.mask.astype(np.uint8), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_NEAREST)
        maps.append(blurred_and_shifted(mask > 0))
    return images, maps


def as_tensors(images: list[NDArray[np.uint8]], maps: list[FloatMap]) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.from_numpy(np.stack(maps))


def iou(one: BoolMask, other: BoolMask) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


def test_the_cut_finds_the_square_that_the_map_only_hints_at() -> None:
    image, inside = red_square_on_noise()
    (found,) = batched_graph_cuts(*as_tensors([image], [blurred_and_shifted(inside)]))
    assert np.array_equal(found.numpy() > 0, inside)


def test_cuts_of_drawn_animals_are_opencvs_but_for_a_few_pixels() -> None:
    images, maps = drawn_animals(12)
    found = batched_graph_cuts(*as_tensors(images, maps)).numpy()
    alike = [iou(ours > 0.5, graph_cut(*each) > 0.5) for ours, *each in zip(found, images, maps, strict=True)]
    assert np.median(alike) > 0.95 and min(alike) > 0.7, alike


def test_the_same_batch_is_cut_the_same_way_and_each_image_as_if_it_were_alone() -> None:
    pixels, maps = as_tensors(*drawn_animals(3))
    together = batched_graph_cuts(pixels, maps)
    assert torch.equal(batched_graph_cuts(pixels, maps), together)
    for k in range(len(pixels)):
        alone = batched_graph_cuts(pixels[k : k + 1], maps[k : k + 1])[0]
        assert (alone != together[k]).float().mean() < 0.001, "rounding may move a pixel"


def test_an_empty_and_a_full_map_come_back_unchanged_and_harm_no_other() -> None:
    image, inside = red_square_on_noise()
    empty, full = np.zeros((64, 64), np.float32), np.ones((64, 64), np.float32)
    nearly = empty.copy()
    nearly[0, :8] = 0.6  # eight pixels, of which no mixture can be made
    pixels, maps = as_tensors([image] * 4, [empty, full, nearly, blurred_and_shifted(inside)])
    found = batched_graph_cuts(pixels, maps)
    assert torch.equal(found[:3], maps[:3])
    assert np.array_equal(found[3].numpy() > 0, inside)


def test_a_cut_of_something_else_than_the_map_shows_is_refused() -> None:
    image, _ = red_square_on_noise()
    corner = np.zeros((64, 64), np.float32)
    corner[18:24, 14:20] = 0.6  # a corner of the square, whose colour leads the cut to all of it
    (found,) = batched_graph_cuts(*as_tensors([image], [np.maximum(corner, 0.2)]))
    assert np.array_equal(found.numpy(), np.maximum(corner, 0.2))
    assert np.array_equal(graph_cut(image, np.maximum(corner, 0.2)), np.maximum(corner, 0.2))


def test_certain_pixels_keep_their_side() -> None:
    image, inside = red_square_on_noise()
    soft = blurred_and_shifted(inside)
    soft[30:34, 20:24], soft[5:8, 5:8] = 0.05, 0.96  # against what the colours say
    (found,) = batched_graph_cuts(*as_tensors([image], [soft]))
    assert not found[30:34, 20:24].any() and found[5:8, 5:8].all()


def test_edges_between_equal_colours_cost_most_and_none_leaves_the_image() -> None:
    pixels = torch.zeros(1, 3, 4, 4)
    pixels[..., 2:] = 200
    right, down_left, down, down_right = edge_weights(pixels)[:, 0]
    beta = 42 / (2 * 10 * 3 * 200**2)  # 10 of the 42 edges are between the two colours
    torch.testing.assert_close(right[0, 1], 50 * torch.tensor(-beta * 3 * 200**2).exp())
    assert right[0, 0] == 50 and not right[:, 3].any()
    assert down[0, 0] == 50 and not down[3].any()
    torch.testing.assert_close(down_right[0, 0], torch.tensor(50 / 2**0.5))
    assert not down_left[:, 0].any() and not down_left[3].any() and not down_right[:, 3].any()


def test_half_precision_around_it_changes_nothing() -> None:
    pixels, maps = as_tensors(*drawn_animals(1))
    expected = batched_graph_cuts(pixels, maps)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(batched_graph_cuts(pixels, maps), expected)


def test_a_gpu_that_cuts_is_asked_for_nothing_and_gets_nothing_from_the_cpu() -> None:
    """Tensors without numbers, on a device that need not be there, fail where a number is read or devices meet."""
    with FakeTensorMode():
        pixels, maps = (
            torch.empty(2, 3, 32, 32, device="cuda", dtype=torch.uint8),
            torch.empty(2, 32, 32, device="cuda"),
        )
        found = batched_graph_cuts(pixels, maps)
    assert (found.device.type, found.shape, found.dtype) == ("cuda", maps.shape, torch.float32)
