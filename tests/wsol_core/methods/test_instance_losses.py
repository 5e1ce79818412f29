"""The losses of objects against values computed by hand, and where their gradients go."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wsol_core.data.composites import PlacedObject, Scene
from wsol_core.methods.instance_losses import ObjectTargets, box_loss, centre_bumps, centre_loss, object_targets

SIDE, CELLS = 64, 8
CPU = torch.device("cpu")


def a_scene(*boxes: tuple[int, int, int, int], label: int = 0, ignored: bool = False) -> Scene:
    objects = []
    for x0, y0, x1, y1 in boxes:
        mask = np.zeros((SIDE, SIDE), np.bool_)
        mask[y0:y1, x0:x1] = True
        objects.append(PlacedObject(label, mask, int(mask.sum())))
    return Scene(np.zeros((SIDE, SIDE, 3), np.uint8), tuple(objects), np.full((SIDE, SIDE), ignored))


def test_targets_are_boxes_cells_and_where_something_is_known() -> None:
    targets = object_targets([a_scene(), a_scene((16, 8, 32, 40), label=2, ignored=True)], CELLS, CPU)
    assert (targets.image.tolist(), targets.label.tolist()) == ([1], [2])
    assert targets.boxes.tolist() == [[0.25, 0.125, 0.5, 0.625]]
    assert targets.cells[0].nonzero().tolist() == [[row, column] for row in range(1, 5) for column in (2, 3)]
    assert targets.known[0].all() and not targets.known[1].any()


def test_an_object_smaller_than_half_a_cell_has_the_cell_that_it_covers_most() -> None:
    targets = object_targets([a_scene((17, 9, 20, 12))], CELLS, CPU)
    assert targets.cells[0].nonzero().tolist() == [[1, 2]]


def test_neighbours_keep_their_own_cells() -> None:
    targets = object_targets([a_scene((0, 0, 32, 32), (32, 0, 64, 32))], CELLS, CPU)
    assert targets.cells.sum(0).max() == 1 and targets.cells.flatten(1).sum(1).tolist() == [16, 16]


def one_target(label: int = 0) -> ObjectTargets:
    return object_targets([a_scene((16, 16, 48, 48), label=label)], CELLS, CPU)


def test_a_bump_is_one_at_the_centre_and_falls_off_with_the_boxs_size() -> None:
    bumps = centre_bumps(one_target(), (1, 2, CELLS, CELLS))
    assert bumps[0, 0, 4, 4] == 1 and bumps[0, 1].sum() == 0
    spread = 4 / 7  # a seventh of four cells
    assert float(bumps[0, 0, 4, 5]) == pytest.approx(math.exp(-((1 / spread) ** 2) / 2))


def test_the_centre_loss_of_two_cells_by_hand() -> None:
    logits = torch.full((1, 1, CELLS, CELLS), -20.0)
    logits[0, 0, 4, 4] = 0.0  # p = 0.5 at the centre: (1 - p)^2 * -ln p
    hand = 0.25 * math.log(2)
    assert float(centre_loss(logits, one_target())) == pytest.approx(hand, abs=1e-4)
    logits[0, 0, 0, 0] = 0.0  # and a false centre: p^2 * -ln(1 - p)
    assert float(centre_loss(logits, one_target())) == pytest.approx(2 * hand, abs=1e-4)


def test_places_of_which_nothing_is_known_cost_nothing() -> None:
    scene = a_scene(ignored=True)
    logits = torch.zeros(1, 1, CELLS, CELLS, requires_grad=True)
    loss = centre_loss(logits, object_targets([scene], CELLS, CPU))
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_another_classs_centre_is_false() -> None:
    logits = torch.full((1, 2, CELLS, CELLS), -2.0, requires_grad=True)
    centre_loss(logits, one_target(label=1)).backward()
    assert logits.grad is not None
    assert logits.grad[0, 1, 4, 4] < 0, "the class's own centre rises"
    assert (logits.grad[0, 0] >= 0).all(), "no other class's does"


def test_the_box_loss_of_a_shifted_box_by_hand() -> None:
    targets = one_target()
    boxes = torch.zeros(1, 4, CELLS, CELLS)
    boxes[:] = torch.tensor([0.25, 0.25, 0.75, 0.75])[None, :, None, None]
    assert float(box_loss(boxes, targets)) == pytest.approx(0, abs=1e-5)
    boxes[:] = torch.tensor([0.5, 0.25, 1.0, 0.75])[None, :, None, None]
    iou, hull = 1 / 3, 1.0  # of two squares that share a half; their hull holds nothing else
    assert float(box_loss(boxes, targets)) == pytest.approx(1 - iou + (1 - hull), abs=1e-5)
    boxes[:] = torch.tensor([0.25, 0.25, 0.75, 0.5])[None, :, None, None]
    assert float(box_loss(boxes, targets)) == pytest.approx(0.5 + 0.3 * math.log(2), abs=1e-5)


def test_small_objects_weigh_as_much_as_large_ones_and_other_places_nothing() -> None:
    targets = object_targets([a_scene((0, 0, 48, 48), (56, 56, 64, 64))], CELLS, CPU)
    boxes = torch.rand(1, 4, CELLS, CELLS).sort(1).values.requires_grad_()
    box_loss(boxes, targets).backward()
    assert boxes.grad is not None
    outside = ~targets.cells.any(0)
    assert not boxes.grad[0][:, outside].any() and boxes.grad[0][:, 7, 7].any()
    assert box_loss(boxes, object_targets([a_scene()], CELLS, CPU)).item() == 0
