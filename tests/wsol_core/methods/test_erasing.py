"""Erasing: where pixels are dropped, what becomes of the others, and of the gradient."""

from __future__ import annotations

import torch

from wsol_core.methods.erasing import erase


def hill(batch: int = 64, side: int = 56) -> torch.Tensor:
    axis = torch.linspace(-1, 1, side)
    return torch.exp(-(axis[:, None] ** 2 + axis[None] ** 2)).expand(batch, side, side).clone()


def test_what_is_kept_is_rescaled_to_0_6_p_plus_0_2() -> None:
    torch.manual_seed(0)
    maps = hill()
    erased = erase(maps)
    kept = erased > 0
    assert torch.allclose(erased[kept], (0.6 * maps + 0.2)[kept])


def test_about_half_of_the_images_lose_pixels_and_all_of_them_hot_ones_near_the_peak() -> None:
    torch.manual_seed(0)
    maps = hill(256)
    dropped = erase(maps) == 0
    share = dropped.any(2).any(1).float().mean()
    assert 0.3 < share < 0.7
    assert maps[dropped].min() > maps.max() - 0.5 * (maps.max() - maps.min()) - 1e-6
    assert not dropped[:, 0].any() and not dropped[:, -1].any()


def test_a_hot_spot_too_small_for_a_window_is_left_alone() -> None:
    torch.manual_seed(0)
    maps = torch.zeros(64, 20, 20)
    maps[:, 9:12, 9:12] = 1
    assert (erase(maps) > 0).all()


def test_a_rectangle_around_the_peak_loses_all_of_its_pixels() -> None:
    torch.manual_seed(0)
    dropped = erase(hill(256), "rectangle") == 0
    for image in dropped[dropped.any(2).any(1)]:
        rows, columns = image.any(1).nonzero(), image.any(0).nonzero()
        inside = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert inside.all() and 7 <= len(inside) < 56


def test_random_erasing_drops_any_pixel_up_to_the_largest_share_of_half_of_the_images() -> None:
    torch.manual_seed(0)
    shares = torch.stack([(erase(hill(64), "random", 0.4) == 0).float().mean((1, 2)) for _ in range(20)])
    assert 0.4 < (shares > 0).float().mean() < 0.6
    assert shares.max() < 0.45 and shares.max() > 0.3


def test_no_erasing_still_rescales() -> None:
    assert torch.allclose(erase(hill(), "none"), 0.6 * hill() + 0.2)


def test_a_smaller_share_keeps_colder_pixels() -> None:
    torch.manual_seed(0)
    maps = hill(256)
    dropped = torch.cat([erase(maps, "attentive", 0.2) == 0 for _ in range(5)])
    assert maps.repeat(5, 1, 1)[dropped].min() > maps.max() - 0.2 * (maps.max() - maps.min()) - 1e-6


def test_gradient_is_0_6_where_kept_and_0_where_dropped() -> None:
    torch.manual_seed(0)
    maps = hill().requires_grad_()
    erased = erase(maps)
    erased.sum().backward()
    assert torch.equal(maps.grad > 0, erased > 0)
    assert torch.allclose(maps.grad[erased > 0], torch.tensor(0.6))


def test_no_maps_stay_no_maps() -> None:
    assert erase(torch.zeros(0, 4, 4)).shape == (0, 4, 4)
