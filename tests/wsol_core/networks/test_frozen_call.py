"""Calls that a module does not learn from."""

from __future__ import annotations

import torch
from torch import nn

from wsol_core.networks.frozen_call import frozen_call


def test_a_frozen_call_returns_what_the_module_does() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    inputs = torch.randn(4, 3)
    assert torch.equal(frozen_call(module, inputs), module(inputs))


def test_only_the_inputs_of_a_frozen_call_get_gradient_and_statistics_stay() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    inputs = torch.randn(4, 3, requires_grad=True)
    frozen_call(module, inputs).square().sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
