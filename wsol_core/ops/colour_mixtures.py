"""Gaussian mixtures of colours for a whole batch on its device, fitted as GrabCut fits them without waiting for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

COMPONENTS = 5  # of a mixture
KMEANS_ROUNDS = 10  # as OpenCV's GrabCut
LEAST_VARIANCE = 0.01  # added to all; OpenCV's GrabCut adds it where a component has one colour


def mixture_log_likelihood(colours: Tensor, inside: Tensor) -> Tensor:
    """(R, N): of every colour under a mixture of those inside; -inf in a row without any.

    k-means from a start that no chance decides, a mixture of its clusters, and one more of the pixels that are most
    probable in each component of the first: the first iteration of GrabCut (Rother et al., SIGGRAPH 2004).

    Args: colours: (R, 3, N) float32. inside: (R, N) float, 0 or 1.
    """
    first = _Mixture.fit(colours, _kmeans(colours, inside))
    members = _one_hot(first.log_densities(colours)) * inside[:, None]
    return _Mixture.fit(colours, members).log_likelihood(colours)


@dataclass(frozen=True, slots=True)
class _Mixture:
    """shares: (R, K). means: (R, K, 3). whitening: (R, K, 3, 3), the inverse of each covariance's Cholesky factor."""

    shares: Tensor
    means: Tensor
    whitening: Tensor

    @classmethod
    def fit(cls, colours: Tensor, members: Tensor) -> _Mixture:
        """Args: members: (R, K, N), 1 where a pixel is of a component, which is at most once for each pixel."""
        counts = members.sum(2)
        means = _mean_of(members, counts, colours)
        rest = colours - means.mT @ members
        products = (rest[:, :, None] * rest[:, None]).flatten(1, 2)
        identity = torch.eye(3, device=colours.device)
        covariances = _mean_of(members, counts, products).view(*means.shape, 3) + LEAST_VARIANCE * identity
        factors = torch.linalg.cholesky_ex(covariances).L  # this one does not wait for the device to report failures
        whitening = torch.linalg.solve_triangular(factors, identity.expand_as(factors), upper=False)
        return cls(counts / counts.sum(1, keepdim=True).clamp(min=1), means, whitening)

    def log_densities(self, colours: Tensor) -> Tensor:
        """(R, K, N): of each component alone, less a constant; -inf of one without pixels."""
        shift = (self.whitening @ self.means[..., None]).flatten(1)
        white = (self.whitening.flatten(1, 2) @ colours - shift[..., None]).view(*self.means.shape, -1)
        height = self.whitening.diagonal(dim1=2, dim2=3).log().sum(2).masked_fill(self.shares == 0, -torch.inf)
        densities: Tensor = height[..., None] - white.square().sum(2) / 2
        return densities

    def log_likelihood(self, colours: Tensor) -> Tensor:
        """(R, N): of the whole mixture, less a constant."""
        return (self.log_densities(colours) + self.shares.log()[..., None]).logsumexp(1)


def _kmeans(colours: Tensor, inside: Tensor) -> Tensor:
    """Members (R, K, N) of clusters of the colours inside; one may be empty."""
    centres = _spread_centres(colours, inside)
    for _ in range(KMEANS_ROUNDS):
        members = _nearest(colours, centres) * inside[:, None]
        counts = members.sum(2)
        centres = torch.where(counts[..., None] > 0, _mean_of(members, counts, colours), centres)
    return _nearest(colours, centres) * inside[:, None]


def _spread_centres(colours: Tensor, inside: Tensor) -> Tensor:
    """(R, K, 3): the mean colour inside, then each time the colour farthest from those before."""
    centres = [_mean_of(inside[:, None], inside.sum(1, keepdim=True), colours)[:, 0]]
    distance = inside.new_full((), torch.inf)
    while len(centres) < COMPONENTS:
        distance = torch.minimum(distance, (colours - centres[-1][..., None]).square().sum(1) * inside)
        farthest = distance.argmax(1)
        centres.append(colours.gather(2, farthest[:, None, None].expand(-1, 3, 1))[..., 0])
    return torch.stack(centres, 1)


def _nearest(colours: Tensor, centres: Tensor) -> Tensor:
    """(R, K, N): 1 for the nearest centre (R, K, 3) of each colour."""
    return _one_hot(centres @ colours - centres.square().sum(2)[..., None] / 2)


def _one_hot(scores: Tensor) -> Tensor:
    """(R, K, N): 1 where the score is the best of the K, the first of equals."""
    return torch.zeros_like(scores).scatter_(1, scores.argmax(1, keepdim=True), 1.0)


def _mean_of(members: Tensor, counts: Tensor, values: Tensor) -> Tensor:
    """(R, K, D): the mean of values (R, D, N) over the members of each component; 0 where there are none."""
    return members @ values.mT / counts.clamp(min=1)[..., None]
