"""ORNet's attentive erasing of activation maps, for training only."""

from __future__ import annotations

import torch
from torch import Tensor

FEWEST, CHANCE = 4, 0.5  # cells of half a window; of an image being erased
SCALE, SHIFT = 0.6, 0.2  # every map becomes SCALE * map + SHIFT


def attentive_erasing(maps: Tensor, largest_share: float = 0.5) -> Tensor:
    """Maps (B, h, w) in [0, 1] rescaled to q = 0.6 p + 0.2, with hot pixels near the peak dropped at random.

    ORNet, Xie et al., ICCV 2021, attentive erasing. Per batch, f ~ U(0, largest_share); per image, with probability
    0.5: among the pixels hotter than max - f (max - min), inside a random window around the peak of at most their
    extent, each is set to 0 with probability q. The gradient is 0.6 where kept and 0 where dropped.
    """
    b, _, w = maps.shape
    if not b:
        return maps
    p = maps.detach().float()
    flat = p.flatten(1)
    high, low = flat.amax(1), flat.amin(1)
    share = torch.rand((), device=p.device) * largest_share
    hot = p > (high - (high - low) * share)[:, None, None]
    peak = flat.argmax(1)
    rows, row_fits = _window(hot.any(2), peak // w)
    columns, column_fits = _window(hot.any(1), peak % w)
    erased = (torch.rand(b, device=p.device) < CHANCE) & row_fits & column_fits
    candidates = hot & rows[:, :, None] & columns[:, None, :] & erased[:, None, None]
    rescaled = SCALE * maps + SHIFT
    dropped = candidates & (torch.rand_like(p) < rescaled.detach())
    return rescaled * (~dropped)


def _window(hot: Tensor, peak: Tensor) -> tuple[Tensor, Tensor]:
    """Along one axis of `hot` (B, n): positions (B, n) inside a random window around `peak`, and whether one fits.

    The half size is drawn from 4 to half the extent of the hot positions, less one.
    """
    places = torch.arange(hot.shape[1], device=hot.device)
    first = torch.where(hot, places, hot.shape[1]).amin(1)
    last = torch.where(hot, places, -1).amax(1)
    most = torch.div(last - first, 2, rounding_mode="floor") - 1
    span = (most - FEWEST + 1).clamp(min=1)
    half = FEWEST + (torch.rand(len(hot), device=hot.device) * span).floor().long()
    return (places - peak[:, None]).abs() < half[:, None], most >= FEWEST
