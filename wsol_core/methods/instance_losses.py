"""The loss terms of objects: where their centres are, and the box that each place of an object belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from wsol_core.cores import core_pool
from wsol_core.data.composites import Scene
from wsol_core.ops.maps import resize
from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask

SPREAD = 1 / 7  # of a box's sides: the standard deviation of the bump at its centre
HALF_COVERED = 0.5  # of a cell by an object: from there on the cell is the object's
LOG_SIDES = 0.3  # weight of the sides' logarithms beside GIoU


@dataclass(frozen=True, slots=True)
class ObjectTargets:
    """The N objects of a batch on the head's grid.

    image, label: (N,) long. boxes: (N, 4) xyxy in shares of the image. cells: (N, h, w) bool, an object's own cells.
    known: (B, h, w) bool, cells of which it is known whether they show a centre.
    """

    image: Tensor
    label: Tensor
    boxes: Tensor
    cells: Tensor
    known: Tensor


def object_targets(scenes: Sequence[Scene], cells: int, device: torch.device) -> ObjectTargets:
    """The targets that scenes (S, S) have on a grid of `cells` a side."""
    objects = [(row, each) for row, scene in enumerate(scenes) for each in scene.objects]
    covers = list(core_pool().map(lambda each: cell_covers(each[1].mask, cells), objects))
    known = [covered < 128 for covered in core_pool().map(lambda scene: cell_covers(scene.ignored, cells), scenes)]
    boxes = [[value / len(each.mask) for value in bounds(each.mask)] for _, each in objects]
    cover = torch.tensor(np.array(covers, np.float32).reshape(-1, cells, cells) / np.float32(255))
    most = cover.flatten(1).amax(1).clamp(min=1e-6)[:, None, None] if len(cover) else cover
    return ObjectTargets(
        torch.tensor([row for row, _ in objects], dtype=torch.long, device=device),
        torch.tensor([each.label for _, each in objects], dtype=torch.long, device=device),
        torch.tensor(np.array(boxes, np.float32).reshape(-1, 4), device=device),
        (cover >= torch.clamp(most, max=HALF_COVERED)).to(device),
        torch.tensor(np.array(known, bool), device=device),
    )


def cell_covers(mask: BoolMask, cells: int) -> NDArray[np.uint8]:
    """(cells, cells): how much of each cell a mask (S, S) covers, of 255."""
    return resize(mask.view(np.uint8) * 255, (cells, cells), cv2.INTER_AREA)


def centre_loss(logits: Tensor, targets: ObjectTargets) -> Tensor:
    """Penalty-reduced focal loss of centres, CornerNet's (Law and Deng, ECCV 2018), over the known cells.

    L = -1/N sum (1 - p)^2 ln p at centres, (1 - t)^4 p^2 ln(1 - p) elsewhere; t is a bump around each centre.
    """
    t = centre_bumps(targets, logits.shape)
    at_centre = t == 1
    p = logits.float().sigmoid().clamp(1e-5, 1 - 1e-5)
    known = targets.known[:, None] | (t > 0.1)
    loss = torch.where(at_centre, (1 - p) ** 2 * -p.log(), (1 - t) ** 4 * p**2 * -(1 - p).log())
    total: Tensor = (loss * known).sum() / max(1, len(targets.image))
    return total


def centre_bumps(targets: ObjectTargets, shape: Sequence[int]) -> Tensor:
    """(B, C, h, w): 1 in the cell of each centre, falling off around it as a Gaussian of the box's size."""
    bumps = targets.boxes.new_zeros(tuple(shape))
    h, w = shape[2:]
    scale = targets.boxes.new_tensor([w, h, w, h])
    x0, y0, x1, y1 = (targets.boxes * scale).unbind(1)
    column = ((x0 + x1) / 2).long().clamp(0, w - 1)
    row = ((y0 + y1) / 2).long().clamp(0, h - 1)
    across = torch.arange(w, device=bumps.device)[None] - column[:, None]
    down = torch.arange(h, device=bumps.device)[None] - row[:, None]
    wide, high = ((x1 - x0) * SPREAD).clamp(min=0.5)[:, None], ((y1 - y0) * SPREAD).clamp(min=0.5)[:, None]
    each = torch.exp(-((down / high) ** 2)[:, :, None] / 2 - ((across / wide) ** 2)[:, None, :] / 2)
    place = (targets.image * bumps.shape[1] + targets.label)[:, None, None].expand_as(each)
    return bumps.flatten(0, 1).scatter_reduce_(0, place, each, "amax").view_as(bumps)


def box_loss(boxes: Tensor, targets: ObjectTargets) -> Tensor:
    """GIoU (Rezatofighi et al., CVPR 2019) and log sides at every cell of an object, averaged object by object."""
    if not len(targets.image):
        return boxes.sum() * 0
    which, row, column = targets.cells.nonzero(as_tuple=True)
    predicted = boxes[targets.image[which], :, row, column]
    true = targets.boxes[which]
    weight = 1 / targets.cells.flatten(1).sum(1).clamp(min=1)[which]
    iou = generalized_box_iou_loss(predicted, true)
    sides = F.l1_loss(_log_sides(predicted), _log_sides(true), reduction="none").sum(1)
    total: Tensor = (weight * (iou + LOG_SIDES * sides)).sum() / len(targets.image)
    return total


def _log_sides(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-4).log()
