"""Mixtures of colours whose likelihood can be worked out."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsol_core.ops.colour_mixtures import LEAST_VARIANCE, mixture_log_likelihood


def colours_around(*centres: tuple[float, float, float], count: int = 200) -> Tensor:
    """(1, 3, N): `count` colours around each centre, with a deviation of 4."""
    generator = torch.Generator().manual_seed(0)
    parts = [torch.tensor(centre)[:, None] + 4 * torch.randn(3, count, generator=generator) for centre in centres]
    return torch.cat(parts, 1)[None]


def test_a_single_colour_has_the_density_of_the_least_variance() -> None:
    colours = torch.tensor([[10.0, 20.0, 30.0]]).mT.expand(1, 3, 50).clone()
    found = mixture_log_likelihood(colours, torch.ones(1, 50))
    torch.testing.assert_close(found, torch.full((1, 50), -1.5 * math.log(LEAST_VARIANCE)), atol=1e-3, rtol=1e-4)


def test_a_colour_is_likelier_where_there_are_more_like_it_and_unlikely_where_there_are_none() -> None:
    colours = colours_around((200, 30, 30), (30, 30, 200), (30, 200, 30))
    inside = torch.ones(1, 600)
    inside[:, 400:] = 0
    red, blue, green = mixture_log_likelihood(colours, inside)[0].split(200)
    assert min(red.min(), blue.min()) > -20 and green.max() < -100


def test_rows_have_mixtures_of_their_own() -> None:
    colours = colours_around((200, 30, 30), (30, 30, 200)).repeat(2, 1, 1)
    inside = torch.zeros(2, 400)
    inside[0, :200] = inside[1, 200:] = 1
    both = mixture_log_likelihood(colours, inside)
    assert (both[0] > both[1])[:200].all() and (both[0] < both[1])[200:].all()
    torch.testing.assert_close(mixture_log_likelihood(colours[1:], inside[1:]), both[1:])


def test_grey_colours_which_vary_along_one_line_have_a_density() -> None:
    grey = torch.linspace(0, 255, 500).expand(1, 3, 500).clone()
    found = mixture_log_likelihood(grey, torch.ones(1, 500))
    assert found.isfinite().all() and found.min() > -20


def test_a_row_without_pixels_gives_no_colour_a_chance_and_leaves_the_others_alone() -> None:
    colours = colours_around((200, 30, 30)).repeat(2, 1, 1)
    found = mixture_log_likelihood(colours, torch.tensor([[0.0], [1.0]]).expand(2, 200).clone())
    assert (found[0] == -torch.inf).all() and found[1].isfinite().all()
