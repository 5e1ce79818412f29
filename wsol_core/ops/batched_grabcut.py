"""GrabCut of a whole batch on its device, for training on a GPU: what grabcut.py does picture by picture on the CPU.

The colour mixtures and the weights are GrabCut's; the cut is a relaxation's after a fixed number of steps. Nothing here
waits for the device. docs/methods.md compares the cuts with OpenCV's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsol_core.ops.colour_mixtures import mixture_log_likelihood
from wsol_core.ops.grabcut import CERTAIN_BACKGROUND, CERTAIN_FOREGROUND, LEAST_AGREEMENT, MIN_PIXELS
from wsol_core.ops.minimum_cuts import edges_inside, minimum_cuts, neighbour_differences

CONTRAST = 50.0  # GrabCut's gamma: what an edge between equal colours costs
DECIDED = 9 * CONTRAST  # more than all edges of a pixel together
STEPS = 80  # of the cut; docs/methods.md says what fewer and more of them change


@torch.no_grad()
def batched_graph_cuts(pixels: Tensor, maps: Tensor, steps: int = STEPS) -> Tensor:
    """`grabcut.graph_cut` of each image: (B, h, w) of 0 and 1, or the map itself where nothing could be cut.

    An image's cut depends on no other image of the batch, but for rounding.

    Args: pixels: (B, 3, h, w) RGB in [0, 255], of any number type. maps: (B, h, w) in [0, 1].
    """
    with torch.autocast(pixels.device.type, enabled=False):  # colours have more digits than bfloat16
        pixels, maps = pixels.float(), maps.float()
        upper = maps > 0.5
        cut = _cut(pixels, maps, upper, steps)
        fore, shared, union = (each.flatten(1).sum(1) for each in (upper, cut & upper, cut | upper))
        cuttable = (fore >= MIN_PIXELS) & (fore <= upper[0].numel() - MIN_PIXELS)
        kept = cuttable & (shared >= LEAST_AGREEMENT * union)
        return torch.where(kept[:, None, None], cut.float(), maps)


def _cut(pixels: Tensor, maps: Tensor, upper: Tensor, steps: int) -> Tensor:
    """(B, h, w) bool; of images without pixels of a side it means nothing."""
    sides = torch.cat([~upper, upper]).flatten(1).float()
    likelihood = mixture_log_likelihood(pixels.flatten(2).repeat(2, 1, 1), sides).view(2, *maps.shape)
    unary = (likelihood[0] - likelihood[1]).nan_to_num(0).clamp(-DECIDED, DECIDED)
    least, most = (maps > CERTAIN_FOREGROUND).float(), (maps >= CERTAIN_BACKGROUND).float()
    return minimum_cuts(unary, edge_weights(pixels), least, most, upper.float(), steps) > 0.5


def edge_weights(pixels: Tensor) -> Tensor:
    """(4, B, h, w): what it costs to cut the edges of `minimum_cuts.NEIGHBOURS`, the less the more colours differ.

    gamma / length exp(-beta |c_p - c_q|^2), where 1 / beta is twice the image's mean of |c_p - c_q|^2.

    Args: pixels: (B, 3, h, w) float.
    """
    inside = edges_inside(pixels.shape[2], pixels.shape[3], pixels.device)[:, None]
    squared = neighbour_differences(pixels).square().sum(2)
    mean = squared.sum((0, 2, 3)) / inside.sum()
    beta = 1 / (2 * mean).clamp(min=1e-6)[:, None, None]
    weights = CONTRAST * torch.exp(-beta * squared) * inside
    weights[1::2] /= 2**0.5  # edges across a corner are so much longer
    return weights
