"""Optimisers, their rates, and clipping."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wsol_core.errors import ConfigError
from wsol_core.training.optimizers import build_optimizer, clip_gradients, optimized_parameters, set_learning_rate


def two_groups() -> list[dict[str, object]]:
    first, second = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    return [
        {"params": [first], "lr": 0.1, "weight_decay": 0.0},
        {"params": (p for p in [second]), "lr": 1.0, "weight_decay": 0.5},
    ]


def test_every_group_keeps_its_own_rate_and_decay() -> None:
    optimizer = build_optimizer(two_groups(), "sgd")
    set_learning_rate(optimizer, 0.5)
    set_learning_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.025, 0.25]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.5]
    assert [parameter.numel() for parameter in optimized_parameters(optimizer)] == [2, 3]


def test_sgd_uses_nesterov_momentum() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = build_optimizer([{"params": [parameter], "lr": 1.0, "weight_decay": 0.0}], "sgd")
    parameter.grad = torch.ones(1)
    optimizer.step()
    assert parameter.item() == pytest.approx(-1.9)  # -(g + 0.9 g)


def test_plain_momentum_takes_no_step_ahead() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = build_optimizer([{"params": [parameter], "lr": 1.0, "weight_decay": 0.0}], "momentum")
    for moved in (-1.0, -2.9):  # -g, then -(g + 0.9 g) more
        parameter.grad = torch.ones(1)
        optimizer.step()
        assert parameter.item() == pytest.approx(moved)


def test_a_largest_norm_of_0_leaves_gradients_as_they_are() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.tensor([30.0])
    assert clip_gradients([parameter], 0).item() == pytest.approx(30)
    assert parameter.grad.item() == 30


def test_adam_moves_by_its_rate_whatever_the_gradient() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = build_optimizer([{"params": [parameter], "lr": 0.01, "weight_decay": 0.0}], "adam")
    parameter.grad = torch.full((1,), 1e4)
    optimizer.step()
    assert parameter.item() == pytest.approx(-0.01, rel=1e-4)


def test_an_unknown_optimiser_is_an_error() -> None:
    with pytest.raises(ConfigError, match="'lion'"):
        build_optimizer(two_groups(), "lion")


def test_gradients_are_clipped_to_a_norm_of_five_together() -> None:
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    first.grad, second.grad = torch.tensor([30.0]), torch.tensor([40.0])
    assert clip_gradients([first, second]).item() == pytest.approx(50)
    assert (first.grad.item(), second.grad.item()) == (pytest.approx(3, rel=1e-4), pytest.approx(4, rel=1e-4))
