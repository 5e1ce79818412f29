"""Mosaics of a project's own images, which stand in for background images where it has none."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

GRID = 4  # cells a side; the inner 2 x 2 hold the object more often than the 12 around them


def border_mosaics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Two mosaics of each image (B, 3, S, S), S a multiple of 4: one keeps its middle, one is border all over.

    The image is cut into 4 x 4 cells. Both mosaics shuffle and flip cells alike, so that neither seams nor sharpness
    tell them apart: only what the middle shows does, which is the object where images were taken of it. An image
    with the object at its border teaches the opposite; over a project the middle outweighs such images.

    Returns: (objects, backgrounds), both like `images`. Random numbers are torch's.
    """
    b = len(images)
    is_middle = _is_middle(images.device)
    middle, border = is_middle.nonzero()[:, 0], (~is_middle).nonzero()[:, 0]
    everywhere = border[torch.randint(len(border), (b, GRID**2), device=images.device)]
    kept = everywhere.clone()
    kept[:, middle] = middle[torch.rand(b, len(middle), device=images.device).argsort(1)]
    cells = _cut(images)
    return _laid(cells, kept), _laid(cells, everywhere)


def shuffled_cells(images: Tensor) -> tuple[Tensor, Tensor]:
    """One mosaic of each image (B, 3, S, S): its 4 x 4 cells in random order, and which ones were its middle.

    A map that learns which cells come from the middle can go by their looks only, never by where they are. What looks
    alike in the middle and at the border, as backgrounds do, stays undecided; the object does not.

    Returns: (mosaics like `images`, (B, 4, 4) of 0 and 1). Random numbers are torch's.
    """
    b = len(images)
    order = torch.rand(b, GRID**2, device=images.device).argsort(1)
    return _laid(_cut(images), order), _is_middle(images.device)[order].float().view(b, GRID, GRID)


def middle_loss(images: Tensor, logits_of: Callable[[Tensor], Tensor], balance: float) -> Tensor:
    """How badly a map tells what is seen in the middle of images from what is seen at their borders.

    An image with the object at its border teaches the opposite; over a project the middle outweighs such images.
    Cells are shuffled, so that the map cannot go by where they lie.

    Args: logits_of: (B, 1, h, w) logits of images. balance: weight of cells from the middle.
    """
    mosaics, is_middle = shuffled_cells(images)
    logits = logits_of(mosaics).float()
    target = F.interpolate(is_middle[:, None], size=logits.shape[2:])
    return F.binary_cross_entropy_with_logits(logits, target, pos_weight=logits.new_tensor(balance))


def _is_middle(device: torch.device) -> Tensor:
    """(16,) bool, cell by cell in rows: half of each side."""
    cells = torch.zeros(GRID, GRID, dtype=torch.bool, device=device)
    first = GRID // 4
    cells[first:-first, first:-first] = True
    return cells.flatten()


def _cut(images: Tensor) -> Tensor:
    """(B, 16, 3, S/4, S/4)."""
    b, channels, side, _ = images.shape
    cell = side // GRID
    cells = images.reshape(b, channels, GRID, cell, GRID, cell)
    return cells.permute(0, 2, 4, 1, 3, 5).reshape(b, GRID**2, channels, cell, cell)


def _laid(cells: Tensor, order: Tensor) -> Tensor:
    """Images (B, 3, S, S) of the cells in `order` (B, 16), each flipped or not by chance."""
    b, _, channels, cell, _ = cells.shape
    chosen = cells[torch.arange(b, device=cells.device)[:, None], order]
    flips = torch.rand(b, GRID**2, 1, 1, 1, device=cells.device) < 0.5
    chosen = torch.where(flips, chosen.flip(4), chosen).reshape(b, GRID, GRID, channels, cell, cell)
    images = chosen.permute(0, 3, 1, 4, 2, 5).reshape(b, channels, GRID * cell, GRID * cell)
    return images.contiguous(memory_format=torch.channels_last)
