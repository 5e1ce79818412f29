"""Background pictures made from a project's own pictures, for projects that have none. Tensors in, tensors out."""

from __future__ import annotations

import torch
from torch import Tensor

STRIP = 0.2  # of the side; objects are centred more often than not, so strips along the border mostly miss them


def harvest_backgrounds(images: Tensor, foreground: Tensor | None) -> Tensor:
    """Pictures (B, 3, S, S) that hold a border strip of each picture only, mirrored until it fills the square.

    The strip keeps its own scale, so that sharpness does not give the background away; the mirroring does, which is
    why the caller should not lean on these alone. With `foreground` maps (B, h, w) the border where they are lowest
    is taken, else one drawn at random.
    """
    width = max(1, int(images.shape[2] * STRIP))
    strips = [_side(images, side, width) for side in range(4)]
    if foreground is None:
        chosen = torch.randint(4, (len(images),), device=images.device)
    else:
        thin = max(1, int(foreground.shape[1] * STRIP))
        seen = torch.stack([_side(foreground[:, None], side, thin).mean((1, 2, 3)) for side in range(4)])
        chosen = seen.argmin(0)
    filled = torch.stack([_mirrored(strip, images.shape[2]) for strip in strips])
    return filled[chosen, torch.arange(len(images), device=images.device)]


def _side(x: Tensor, side: int, width: int) -> Tensor:
    """The top, bottom, left or right strip of (B, C, S, S), turned so that its thin axis is the rows."""
    if side > 1:
        x = x.transpose(2, 3)
    return x[:, :, :width] if side % 2 == 0 else x[:, :, -width:].flip(2)


def _mirrored(strip: Tensor, side_px: int) -> Tensor:
    """Rows of the strip, forwards and backwards in turn, until there are `side_px` of them."""
    width = strip.shape[2]
    rows = torch.arange(side_px, device=strip.device) % (2 * width)
    return strip[:, :, torch.where(rows < width, rows, 2 * width - 1 - rows)]
