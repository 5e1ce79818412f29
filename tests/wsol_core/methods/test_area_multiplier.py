"""AreaConstraint: what it costs, and that a collapsing class is pushed back."""

from __future__ import annotations

import pytest
import torch

from wsol_core.methods.area_multiplier import AreaConstraint


def test_inside_the_band_area_costs_the_base() -> None:
    constraint = AreaConstraint(2, low=0.1, high=0.4, base=0.5)
    loss = constraint(torch.full((4, 2, 2), 0.25), torch.tensor([0, 0, 1, 1]))
    assert loss.item() == pytest.approx(0.5 * 0.25)
    assert constraint.multiplier.tolist() == [0.0, 0.0]


def test_only_the_multiplier_of_the_full_class_rises() -> None:
    constraint = AreaConstraint(2, low=0.1, high=0.4)
    maps = torch.stack([torch.ones(2, 2), torch.full((2, 2), 0.2)])
    for _ in range(30):
        constraint(maps, torch.tensor([0, 1]))
    assert constraint.multiplier[0] > 1
    assert constraint.multiplier[1] == 0


def test_area_is_rewarded_while_a_class_is_empty() -> None:
    constraint = AreaConstraint(1, low=0.1, high=0.4)
    maps = torch.zeros(2, 3, 3, requires_grad=True)
    for _ in range(60):
        loss = constraint(maps, torch.tensor([0, 0]))
    loss.backward()
    assert constraint.multiplier[0] < -constraint.base
    assert (maps.grad < 0).all()  # a step against the gradient makes the maps larger


def test_a_class_that_a_batch_lacks_keeps_its_multiplier() -> None:
    constraint = AreaConstraint(2, low=0.1, high=0.4)
    constraint.multiplier.fill_(1.0)
    constraint(torch.full((1, 2, 2), 0.25), torch.tensor([0]))
    assert constraint.multiplier.tolist() == pytest.approx([0.9, 1.0])


def test_a_nearly_full_image_pays_on_top() -> None:
    constraint = AreaConstraint(1, low=0.0, high=1.0, base=0.5)
    assert constraint(torch.ones(1, 2, 2), torch.tensor([0])).item() == pytest.approx(0.5 + 2 * 0.2)


def test_no_image_costs_nothing() -> None:
    assert AreaConstraint(3)(torch.zeros(0, 2, 2), torch.zeros(0, dtype=torch.long)).item() == 0


def test_a_state_that_calls_the_multiplier_price_loads_and_stays_as_it_is() -> None:
    state = {"area.running_area": torch.tensor([0.1, 0.2]), "area.price": torch.tensor([0.5, -0.25])}
    holder = torch.nn.ModuleDict({"area": AreaConstraint(2)})
    holder.load_state_dict(state)
    assert holder.state_dict()["area.multiplier"].tolist() == [0.5, -0.25]
    assert sorted(holder.state_dict()) == ["area.multiplier", "area.running_area"]
    assert "area.price" in state
