from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backend.labelstudio.brush_rle import encoded_size
from backend.labelstudio.mask_budget import fit_mask
from wsol_core.records import BoolMask

RANDOM = np.random.default_rng(5)


def disc() -> BoolMask:
    y, x = np.mgrid[:150, :200]
    return np.asarray((x - 100) ** 2 + (y - 75) ** 2 < 50**2, np.bool_)


def overlap(a: BoolMask, b: BoolMask) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_a_mask_within_the_budget_stays_as_it_is() -> None:
    mask = disc()
    mask[0, 0] = True
    assert fit_mask(mask, encoded_size, 2000) is mask


def test_specks_and_pinholes_go_first() -> None:
    mask = disc()
    mask[5:10:2, 5:100:2] = True
    mask[70:80:3, 70:130:3] = False
    budget = encoded_size(disc())
    assert encoded_size(mask) > budget
    np.testing.assert_array_equal(fit_mask(mask, encoded_size, budget), disc())


def test_a_noisy_outline_is_smoothed_until_it_fits() -> None:
    noisy = disc() ^ (RANDOM.random((150, 200)) < 0.2)
    plain = fit_mask(noisy, encoded_size, 1000)
    assert encoded_size(noisy) > 8000
    assert encoded_size(plain) <= 1000
    assert overlap(plain, disc()) > 0.9


def test_a_chequerboard_becomes_something_of_about_its_area() -> None:
    y, x = np.mgrid[:150, :200]
    noisy = ((x // 4 + y // 4) % 2 == 0) ^ (RANDOM.random((150, 200)) < 0.1)
    plain = fit_mask(noisy, encoded_size, 1500)
    assert encoded_size(plain) <= 1500
    assert 0.25 < plain.mean() < 1


def test_sparse_dust_is_not_lost() -> None:
    dust = np.zeros((150, 200), np.bool_)
    dust[40:100:3, 60:160:3] = True
    plain = fit_mask(dust, encoded_size, 800)
    assert encoded_size(plain) <= 800
    assert plain[40:100, 60:160].mean() > 0.05
    assert not plain[:20].any()


def test_no_less_is_asked_than_twice_the_box() -> None:
    mask = disc()
    box = np.zeros_like(mask)
    box[26:125, 51:150] = True
    assert encoded_size(fit_mask(mask, encoded_size, 1)) <= 2 * encoded_size(box)


def test_an_empty_mask_is_left_alone() -> None:
    mask = np.zeros((3, 3), np.bool_)
    assert fit_mask(mask, encoded_size, 0) is mask


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30))), st.integers(0, 200))
def test_every_mask_ends_within_its_budget_and_not_empty(mask: BoolMask, budget: int) -> None:
    plain = fit_mask(mask, encoded_size, budget)
    assert plain.shape == mask.shape
    assert plain.any() == mask.any()
    if mask.any():
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = np.zeros_like(mask)
        box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        assert encoded_size(plain) <= max(budget, 2 * encoded_size(box))
