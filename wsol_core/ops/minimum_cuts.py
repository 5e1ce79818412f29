"""Minimum cuts of pixel grids for a whole batch on its device, by their exact convex relaxation.

A binary x that minimises sum_p u_p x_p + sum_pq w_pq |x_p - x_q| stays a minimum where x may be anything in [0, 1], and
each level set of such a minimum is one again (Chan, Esedoglu and Nikolova, SIAM J. Appl. Math. 2006). The relaxed
problem takes primal-dual steps (Chambolle and Pock, JMIV 2011), whose lengths are each pixel's and edge's own (Pock and
Chambolle, ICCV 2011). All images take the same number of steps, and nothing waits for the device.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1))  # rows and columns from an edge's first pixel to its second
BALANCE = 1.0  # of the primal steps' length to the dual ones'; near 1 both come nearer alike
LEAST_DEGREE = 1e-3  # of a pixel, whose steps would be endless without edges


def edges_inside(h: int, w: int, device: torch.device) -> Tensor:
    """(4, h, w) float: 1 where the edge from a pixel to its neighbour ends in the image."""
    return _second_pixels(torch.ones(h, w, device=device))


def neighbour_differences(values: Tensor) -> Tensor:
    """(4, ..., h, w): of values (..., h, w) at the second pixel of each edge less at the first; 0 across the border."""
    h, w = values.shape[-2:]
    inside = edges_inside(h, w, values.device).view(4, *(1,) * (values.dim() - 2), h, w)
    return (_second_pixels(values) - values) * inside


def _second_pixels(values: Tensor) -> Tensor:
    """(4, ..., h, w): values (..., h, w) at the second pixel of each pixel's edges, 0 beyond the border."""
    h, w = values.shape[-2:]
    padded = F.pad(values, (1, 1, 0, 1))
    return torch.stack([padded[..., dy : dy + h, 1 + dx : 1 + dx + w] for dy, dx in NEIGHBOURS])


@torch.no_grad()
def minimum_cuts(unary: Tensor, weights: Tensor, least: Tensor, most: Tensor, start: Tensor, steps: int) -> Tensor:
    """x (B, h, w) in [0, 1] after so many steps; where it is above 1/2 is the cut.

    Args: unary: (B, h, w), what x = 1 costs more than x = 0. weights: (4, B, h, w) of the edges of `NEIGHBOURS`, not
        negative, 0 for those that leave the image. least, most: (B, h, w), between which each x has to be. start:
        (B, h, w), the first x.
    """
    grid = _FlatGrid(unary)
    weight = grid.flat(weights)
    cost, low, high, x = (grid.flat(values) for values in (unary, least, most, start))
    # One over the sum of a pixel's edges, and half of each edge: the longest steps that are sure to come to an end.
    length = 1 / (BALANCE * grid.degree(weight).clamp(min=LEAST_DEGREE))
    stretch, lower = weight * (BALANCE / 2), -weight
    grid.pixels.copy_(x)
    for _ in range(steps):
        grid.flow.addcmul_(grid.differences(), stretch)
        torch.clamp(grid.flow, lower, weight, out=grid.flow)
        after = torch.clamp(torch.addcmul(x, grid.outflow().sub_(cost), length), low, high)
        torch.lerp(x, after, 2.0, out=grid.pixels)
        x = after
    return grid.images(x)


class _FlatGrid:
    """Images (B, h, w) as one row of N pixels, in which a neighbour is always the same number of pixels away.

    An image gets one more row and column, so that edges which leave it lead there, and not into the next row or image.
    Three kinds of edges lead to pixels that lie beside each other: a single kernel reads them all, of all images.

    Attributes:
        pixels: (N,), a value of each pixel. flow: (4, N), of each edge at its first pixel. Write to them.
    """

    def __init__(self, like: Tensor) -> None:
        b, h, w = like.shape
        self._shape = (b, h + 1, w + 1)
        count, wide = b * (h + 1) * (w + 1), w + 1
        reach = wide + 1  # pixels to the farthest neighbour
        # There is room behind the last pixel for its neighbours, and before the first for edges that end there.
        pixels, flow = like.new_zeros(count + reach), like.new_zeros(4, reach + count)
        self.pixels, self.flow = pixels[:count], flow[:, reach:]
        self._right, self._below = pixels[1 : count + 1], pixels.as_strided((3, count), (1, 1), wide - 1)
        row = reach + count
        self._from_left = flow[0, reach - 1 : row - 1]
        self._from_above = flow.as_strided((3, count), (row - 1, 1), row + reach - (wide - 1))
        self._differences = like.new_zeros(4, count)
        self._to_right, self._to_below = self._differences[0], self._differences[1:]

    def flat(self, values: Tensor) -> Tensor:
        """(..., N): values (..., B, h, w), and 0 in between."""
        return F.pad(values, (0, 1, 0, 1)).flatten(-3).contiguous()

    def images(self, flat: Tensor) -> Tensor:
        """(B, h, w): the values of N pixels."""
        return flat.view(self._shape)[:, :-1, :-1]

    def differences(self) -> Tensor:
        """(4, N): `pixels` at each edge's second pixel less at its first; the next call overwrites it."""
        torch.sub(self._right, self.pixels, out=self._to_right)
        torch.sub(self._below, self.pixels, out=self._to_below)
        return self._differences

    def outflow(self) -> Tensor:
        """(N,): the flow of the edges that begin at a pixel, less that of the edges that end there."""
        return self.flow.sum(0).sub_(self._from_above.sum(0)).sub_(self._from_left)

    def degree(self, weight: Tensor) -> Tensor:
        """(N,): the sum of the weights (4, N) of all edges of a pixel. `flow` is zero before and after."""
        self.flow.copy_(weight)
        total = self.flow.sum(0) + self._from_above.sum(0) + self._from_left
        self.flow.zero_()
        return total
