"""Common maps: what images show in their middles, or where people drew, is found wherever it stands."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tests.wsol_core.methods.method_batches import noise_batch
from wsol_core.data.batch import Batch
from wsol_core.methods.co_localization import CoLocalizer, co_localization_loss
from wsol_core.networks.backbones import build_backbone
from wsol_core.records import MASK_REGION

SIDE, SQUARE = 128, 48
MIDDLE, CORNER = (40, 40), (0, 80)


def co_localizer() -> CoLocalizer:
    torch.manual_seed(0)
    return CoLocalizer(build_backbone("tiny", (4, 8, 16, 16)))


def with_squares(*places: tuple[int, int]) -> tuple[Batch, Tensor]:
    """Faint noise with a red square at each image's place, and where that is, at a quarter of the side."""
    torch.manual_seed(1)
    images, where = 0.2 * torch.randn(len(places), 3, SIDE, SIDE), torch.zeros(len(places), SIDE // 4, SIDE // 4)
    for image, (y, x) in enumerate(places):
        images[image, :, y : y + SQUARE, x : x + SQUARE] = torch.tensor([2.0, -1.0, -1.0])[:, None, None]
        where[image, y // 4 : (y + SQUARE) // 4, x // 4 : (x + SQUARE) // 4] = 1
    return replace(noise_batch(classes=1, size=len(places)), images=images, region=torch.zeros_like(where)), where


def learned(batch: Batch) -> Tensor:
    """The common maps after a few batches, each moved otherwise."""
    made = co_localizer()
    return [made(batch) for _ in range(10)][-1]


def contrast(common: Tensor, where: Tensor) -> Tensor:
    """(B,): the mean of each map inside its square minus that outside."""
    inside = where[:, 2::4, 2::4] > 0
    return torch.stack([each[on].mean() - each[~on].mean() for each, on in zip(common, inside, strict=True)])


def test_what_middles_show_is_found_elsewhere_too() -> None:
    batch, where = with_squares(MIDDLE, MIDDLE, MIDDLE, CORNER)
    common = learned(batch)
    assert common.shape == (4, SIDE // 16, SIDE // 16)
    assert common.amax((1, 2)).allclose(torch.ones(4))
    assert (contrast(common, where) > 0.2).all()


def test_what_people_drew_takes_the_place_of_middles() -> None:
    batch, where = with_squares(CORNER, CORNER, CORNER, CORNER)
    drawn = replace(batch, region=where, region_kind=torch.full((4,), MASK_REGION))
    assert contrast(learned(batch), where).mean() < 0.1
    assert (contrast(learned(drawn), where) > 0.2).all()


def test_cells_are_described_by_both_stages_and_hardly_by_where_they_lie() -> None:
    made, images = co_localizer(), torch.ones(1, 3, SIDE, SIDE)
    cells = made.descriptions(images)
    assert cells.shape == (1, 8, 8, 96 + 128)
    assert cells[..., :96].norm(dim=-1).allclose(torch.ones(1, 8, 8), atol=1e-5)
    padded_with_zeros = torch.nn.functional.normalize(made.backbone(images)[2], dim=1).movedim(1, 3)
    assert spread(cells[..., :96]) < 0.2 * spread(padded_with_zeros)


def spread(cells: Tensor) -> Tensor:
    return (cells - cells[:, 4:5, 4:5]).square().sum(-1).mean()


def test_the_features_are_a_copy_that_never_trains() -> None:
    backbone = build_backbone("tiny", (4, 8, 16, 16))
    made = CoLocalizer(backbone).train()
    assert not any(module.training for module in made.modules())
    assert not any(parameter.requires_grad for parameter in made.parameters())
    before = made.descriptions(torch.ones(1, 3, SIDE, SIDE))
    with torch.no_grad():
        next(backbone.parameters()).add_(1.0)
    assert torch.equal(made.descriptions(torch.ones(1, 3, SIDE, SIDE)), before)


def test_the_hint_counts_where_middles_are_told_from_borders() -> None:
    made, (batch, _) = co_localizer(), with_squares(*[MIDDLE] * 8)
    for _ in range(5):
        made(batch)
    assert made.clearness > 0.9
    torch.manual_seed(2)
    made = co_localizer()
    for _ in range(5):
        made(replace(batch, images=torch.randn_like(batch.images)))
    assert made.clearness < 0.3


def test_the_means_follow_the_batches_slowly() -> None:
    made, (batch, _) = co_localizer(), with_squares(MIDDLE, MIDDLE)
    made(batch)
    first = made.of_middles.clone()
    torch.manual_seed(3)
    made(replace(batch, images=-batch.images))
    alone = co_localizer()
    torch.manual_seed(3)
    alone(replace(batch, images=-batch.images))
    moved = (made.of_middles - first).norm()
    assert moved.isclose(0.1 * (alone.of_middles - first).norm(), rtol=1e-3)


def test_the_loss_is_of_what_nobody_drew_and_least_where_maps_are_the_common_ones() -> None:
    batch, where = with_squares(MIDDLE, MIDDLE)
    common = where[:, 2::4, 2::4]
    right, wrong = (co_localization_loss(batch, maps, common) for maps in (where[:, ::2, ::2], 1 - where[:, ::2, ::2]))
    assert 2 * right < wrong
    drawn = replace(batch, region_kind=torch.full((2,), MASK_REGION))
    assert co_localization_loss(drawn, where[:, ::2, ::2], common) == 0
