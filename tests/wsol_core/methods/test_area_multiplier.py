"""AreaConstraint: what it costs, and that a collapsing class is pushed back."""

from __future__ import annotations

import pytest
import torch

from wsol_core.methods.area_multiplier import AreaConstraint


def test_inside_the_band_the_price_is_the_base() -> None:
    control = AreaConstraint(2, low=0.1, high=0.4, base=0.5)
    loss = control(torch.full((4, 2, 2), 0.25), torch.tensor([0, 0, 1, 1]))
    assert loss.item() == pytest.approx(0.5 * 0.25)
    assert control.price.tolist() == [0.0, 0.0]


def test_only_the_price_of_the_full_class_rises() -> None:
    control = AreaConstraint(2, low=0.1, high=0.4)
    maps = torch.stack([torch.ones(2, 2), torch.full((2, 2), 0.2)])
    for _ in range(30):
        control(maps, torch.tensor([0, 1]))
    assert control.price[0] > 1
    assert control.price[1] == 0


def test_area_is_rewarded_while_a_class_is_empty() -> None:
    control = AreaConstraint(1, low=0.1, high=0.4)
    maps = torch.zeros(2, 3, 3, requires_grad=True)
    for _ in range(60):
        loss = control(maps, torch.tensor([0, 0]))
    loss.backward()
    assert control.price[0] < -control.base
    assert (maps.grad < 0).all()  # a step against the gradient makes the maps larger


def test_a_class_that_a_batch_lacks_keeps_its_price() -> None:
    control = AreaConstraint(2, low=0.1, high=0.4)
    control.price.fill_(1.0)
    control(torch.full((1, 2, 2), 0.25), torch.tensor([0]))
    assert control.price.tolist() == pytest.approx([0.9, 1.0])


def test_a_nearly_full_image_pays_on_top() -> None:
    control = AreaConstraint(1, low=0.0, high=1.0, base=0.5)
    assert control(torch.ones(1, 2, 2), torch.tensor([0])).item() == pytest.approx(0.5 + 2 * 0.2)


def test_no_image_costs_nothing() -> None:
    assert AreaConstraint(3)(torch.zeros(0, 2, 2), torch.zeros(0, dtype=torch.long)).item() == 0
