"""ORNet's erasing of activation maps, for training only, and what its supplement compares it with."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Erasing = Literal["attentive", "random", "rectangle", "none"]
FEWEST, CHANCE = 4, 0.5  # cells of half a window; of an image being erased
SCALE, SHIFT = 0.6, 0.2  # every map becomes SCALE * map + SHIFT


def erase(maps: Tensor, kind: Erasing = "attentive", largest_share: float = 0.5) -> Tensor:
    """Maps (B, h, w) in [0, 1] rescaled to q = 0.6 p + 0.2, some of whose pixels are dropped to 0.

    ORNet, Xie et al., ICCV 2021. Per batch, f ~ U(0, largest_share); an image is erased with probability 0.5.
        attentive: of the pixels hotter than max - f (max - min), inside a random window around the peak of at most
            their extent, each is dropped with probability q, as released.
        rectangle: all pixels of that window are dropped.
        random: every pixel of the map is dropped with probability f.
        none: nothing is dropped; q stays.
    The supplement names random erasing and erasing in a restricted rectangle without saying what they do: those two
    are reconstructions. The gradient is 0.6 where kept and 0 where dropped.
    """
    rescaled = SCALE * maps + SHIFT
    if kind == "none" or not len(maps):
        return rescaled
    p = maps.detach().float()
    share = torch.rand((), device=p.device) * largest_share
    if kind == "random":
        erased = torch.rand(len(p), device=p.device) < CHANCE
        return rescaled * ~(erased[:, None, None] & (torch.rand_like(p) < share))
    hot, window = _hot_and_window(p, share)
    if kind == "rectangle":
        return rescaled * ~window
    return rescaled * ~(hot & window & (torch.rand_like(p) < rescaled.detach()))


def _hot_and_window(p: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """(B, h, w) each: pixels near the peak's value, and the random window around the peak of the images to erase."""
    b, _, w = p.shape
    flat = p.flatten(1)
    high, low = flat.amax(1), flat.amin(1)
    hot = p > (high - (high - low) * share)[:, None, None]
    peak = flat.argmax(1)
    rows, row_fits = _window(hot.any(2), peak // w)
    columns, column_fits = _window(hot.any(1), peak % w)
    erased = (torch.rand(b, device=p.device) < CHANCE) & row_fits & column_fits
    return hot, rows[:, :, None] & columns[:, None, :] & erased[:, None, None]


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
