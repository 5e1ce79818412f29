"""Min-max stretching of arrays and of tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wsol_core.ops.maps import min_max, min_max_tensor


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_a_constant_or_broken_map_becomes_zeros(value: float) -> None:
    assert not min_max(np.full((3, 3), value, np.float32)).any()


def test_values_never_leave_0_to_1_by_rounding() -> None:
    rng = np.random.default_rng(0)
    stretched = [min_max(rng.random((3, 3), np.float32) * np.float32(scale)) for scale in rng.random(100)]
    assert all(values.min() >= 0 and 1 - 1e-6 < values.max() <= 1 for values in stretched)


def test_min_max_stretches_each_map_and_a_flat_one_to_zeros() -> None:
    maps = torch.tensor([[[0.2, 0.4]], [[0.3, 0.3]]])
    assert torch.allclose(min_max_tensor(maps), torch.tensor([[[0.0, 1.0]], [[0.0, 0.0]]]))


def test_minmax_stretches_each_map_and_empties_a_constant_one() -> None:
    maps = torch.tensor([[[[0.2, 0.4, 0.6]]], [[[0.5, 0.5, 0.5]]]])
    expected = torch.tensor([[[[0.0, 0.5, 1.0]]], [[[0.0, 0.0, 0.0]]]])
    torch.testing.assert_close(min_max_tensor(maps, least_range=1e-12), expected)


def test_a_broken_map_stays_broken_so_that_its_training_step_is_skipped() -> None:
    assert min_max_tensor(torch.tensor([[[0.1, float("nan")]]])).isnan().all()
