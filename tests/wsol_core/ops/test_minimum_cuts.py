"""Minimum cuts of grids so small that all their labellings can be tried."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from wsol_core.ops.minimum_cuts import edges_inside, minimum_cuts, neighbour_differences

ROWS, COLUMNS, STEPS = 3, 4, 200
FREE = torch.zeros(1), torch.ones(1)  # between which every x may be


def problems(count: int) -> tuple[Tensor, Tensor]:
    """Costs of pixels and weights of edges, of which each decides some pixels."""
    generator = torch.Generator().manual_seed(0)
    unary = 30 * torch.randn(count, ROWS, COLUMNS, generator=generator)
    weights = 50 * torch.rand(4, count, ROWS, COLUMNS, generator=generator)
    return unary, weights * edges_inside(ROWS, COLUMNS, unary.device)[:, None]


def cuts(unary: Tensor, weights: Tensor, least: Tensor = FREE[0], most: Tensor = FREE[1]) -> Tensor:
    bounds = least.expand_as(unary), most.expand_as(unary)
    return minimum_cuts(unary, weights, *bounds, (unary < 0).float(), STEPS) > 0.5


def best_labelling(unary: Tensor, weights: Tensor, allowed: Tensor) -> Tensor:
    """Of all labellings (N, h, w) that are allowed, the one that costs least."""
    edges = (weights[:, None] * neighbour_differences(allowed).abs()).sum((0, 2, 3))
    return allowed[((unary * allowed).sum((1, 2)) + edges).argmin()] > 0.5


def all_labellings() -> Tensor:
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=ROWS * COLUMNS))).view(-1, ROWS, COLUMNS)


def test_the_cheapest_of_all_labellings_is_found() -> None:
    unary, weights = problems(20)
    found = cuts(unary, weights)
    expected = [best_labelling(unary[k], weights[:, k], all_labellings()) for k in range(len(unary))]
    assert torch.equal(found, torch.stack(expected))
    assert not torch.equal(found, unary < 0), "edges decide some pixels"


def test_held_pixels_keep_their_side_and_the_rest_is_the_cheapest() -> None:
    unary, weights = problems(10)
    least, most = torch.zeros(ROWS, COLUMNS), torch.ones(ROWS, COLUMNS)
    least[0, 0], most[2, 3] = 1, 0
    labellings = all_labellings()
    allowed = labellings[(labellings[:, 0, 0] == 1) & (labellings[:, 2, 3] == 0)]
    expected = [best_labelling(unary[k], weights[:, k], allowed) for k in range(len(unary))]
    assert torch.equal(cuts(unary, weights, least, most), torch.stack(expected))


def test_images_of_a_batch_do_not_touch() -> None:
    unary, weights = problems(6)
    together = minimum_cuts(unary, weights, *(each.expand_as(unary) for each in FREE), torch.zeros_like(unary), 30)
    for k in range(len(unary)):
        one = unary[k : k + 1]
        alone = minimum_cuts(one, weights[:, k : k + 1], *(each.expand_as(one) for each in FREE), one * 0, 30)
        assert torch.equal(alone[0], together[k])


def test_differences_are_of_neighbours_and_zero_across_the_border() -> None:
    values = torch.tensor([[1.0, 2.0], [4.0, 8.0]])
    right, down_left, down, down_right = neighbour_differences(values)
    assert right.tolist() == [[1, 0], [4, 0]] and down_left.tolist() == [[0, 2], [0, 0]]
    assert down.tolist() == [[3, 6], [0, 0]] and down_right.tolist() == [[7, 0], [0, 0]]
