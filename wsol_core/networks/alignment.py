"""Where features lie: how far a network draws them beside what they show, and how they are moved back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PARTS = 8  # of a cell: offsets are found to a sixteenth, since a mirrored image doubles them
FARTHEST = 16  # such parts that a map and its mirrored one may lie apart: a cell each


class OddPixels(nn.Module):
    """Moves maps (B, C, h, w) by one pixel, so that the halving after it keeps the odd pixels, not the even ones.

    Only models from before features were measured have it; in all others it does nothing.
    """

    active = False

    def forward(self, maps: Tensor) -> Tensor:
        """Like `maps`; the last row and column are there twice."""
        if not self.active:
            return maps
        moved = F.pad(maps[:, :, 1:, 1:], (0, 1, 0, 1), mode="replicate")
        return moved.contiguous(memory_format=torch.channels_last)


def moved(maps: Tensor, cells: float) -> Tensor:
    """Maps (B, C, h, w) whose content lies `cells` further right and down, from -1 to 1; edges are there twice.

    Example:
        >>> moved(torch.tensor([[[[0.0, 1.0, 0.0, 0.0]]]]), 0.25)
        tensor([[[[0.0000, 0.7500, 0.2500, 0.0000]]]])
    """
    for dim in (2, 3):
        last = maps.shape[dim] - 1
        if cells < 0:
            neighbours = [maps.narrow(dim, 1, last), maps.narrow(dim, last, 1)]
        else:
            neighbours = [maps.narrow(dim, 0, 1), maps.narrow(dim, 0, last)]
        maps = torch.lerp(maps, torch.cat(neighbours, dim), abs(cells))
    return maps


@torch.no_grad()
def offsets(network: Callable[[Tensor], Sequence[Tensor]], images: Tensor) -> list[float]:
    """By how many cells each of the network's features lie right of and below what they show; the mean of both.

    Padded convolutions that halve see the even pixels, half a pixel up and left of the middle. Networks learn to make
    up for that, some more than others, and what is made up for a stride that is taken out later is too much. So it is
    measured: features of an image and of its mirrored image, mirrored back, lie twice the offset apart.

    Args: images: (B, 3, S, S), normalised; a dozen tell it to a sixteenth of a cell.
    """
    plain = [_energy(features) for features in network(images)]
    found = [0.0] * len(plain)
    for axis in (2, 3):
        mirrored = network(images.flip(axis))
        for stage, features in enumerate(mirrored):
            apart = _distance(plain[stage], _energy(features).flip(axis), axis)
            found[stage] += apart / 2 / 2  # twice the offset, and half of the mean
    return found


def _energy(features: Tensor) -> Tensor:
    """(B, 1, h, w): how much features respond at each place, whichever they are."""
    return features.float().relu().square().sum(1, keepdim=True).sqrt()


def _distance(maps: Tensor, others: Tensor, axis: int) -> float:
    """By how many cells `maps` lie further along `axis` than `others`, where they fit best."""
    size = [PARTS * maps.shape[2], PARTS * maps.shape[3]]
    fine, other = (F.interpolate(each, size=size, mode="bicubic", align_corners=False) for each in (maps, others))
    length = size[axis - 2] - 2 * FARTHEST
    middle = _standardised(fine.narrow(axis, FARTHEST, length))
    fits = {
        parts: float((middle * _standardised(other.narrow(axis, FARTHEST - parts, length))).mean())
        for parts in range(-FARTHEST, FARTHEST + 1)
    }
    return max(fits, key=fits.__getitem__) / PARTS


def _standardised(maps: Tensor) -> Tensor:
    centred = maps - maps.mean((2, 3), keepdim=True)
    return centred / centred.square().mean((2, 3), keepdim=True).sqrt().clamp(min=1e-6)
