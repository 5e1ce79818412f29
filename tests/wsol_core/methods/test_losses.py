"""Every loss against numbers computed by hand, which tensors get gradient, and empty batches."""

from __future__ import annotations

import math

import pytest
import torch

from wsol_core.methods import losses
from wsol_core.records import BOX_REGION, MASK_REGION, NO_REGION

LN2 = math.log(2)


def test_softmax_classification_of_equal_logits_is_the_logarithm_of_the_number_of_classes() -> None:
    loss = losses.classification_loss(torch.zeros(2, 4), torch.eye(4)[:2], multi_label=False)
    assert loss.item() == pytest.approx(math.log(4))


def test_one_class_alone_is_judged_by_a_sigmoid() -> None:
    assert losses.classification_loss(torch.zeros(3, 1), torch.ones(3, 1), multi_label=False).item() == pytest.approx(
        LN2
    )


def test_several_classes_in_an_image_are_judged_each_for_itself() -> None:
    logits, labels = torch.tensor([[0.0, 50.0, -50.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    assert losses.classification_loss(logits, labels, multi_label=True).item() == pytest.approx(LN2 / 3)


@pytest.mark.parametrize(
    ("background", "full", "expected"),
    [(1.0, 4.0, 0.25), (0.0, 4.0, 0.0), (-3.0, 4.0, 0.0), (5.0, 4.0, 1.0), (4.0, 4.0, 1.0), (2.0, -1.0, 1.0)],
)
def test_background_activation_is_the_share_of_the_score_that_is_left(
    background: float, full: float, expected: float
) -> None:
    loss = losses.background_activation_loss(torch.tensor([background]), torch.tensor([full]))
    assert loss.item() == pytest.approx(expected)


def test_background_activation_moves_the_background_score_only() -> None:
    background, full = torch.tensor([1.0, 5.0], requires_grad=True), torch.tensor([4.0, 4.0], requires_grad=True)
    losses.background_activation_loss(background, full).backward()
    assert full.grad is None
    # Above the whole image's score the term is a constant, so that an untrained map drives nothing.
    assert background.grad.tolist() == pytest.approx([1 / (2 * 4), 0.0])


def test_a_background_as_strong_as_the_image_still_gets_gradient() -> None:
    background = torch.tensor([4.0], requires_grad=True)
    losses.background_activation_loss(background, torch.tensor([4.0])).backward()
    assert background.grad.item() == pytest.approx(0.25)


def test_area_is_the_mean_and_its_gradient_the_same_everywhere() -> None:
    maps = torch.tensor([[[0.0, 1.0], [0.5, 0.5]]], requires_grad=True)
    loss = losses.area_loss(maps)
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert torch.equal(maps.grad, torch.full((1, 2, 2), 0.25))


def test_weighted_entropy_of_undecided_and_decided_pixels() -> None:
    values = {0.5: LN2, 0.4: math.exp(-0.5) * 0.673012, 0.0: 0.0, 1.0: 0.0}
    for p, expected in values.items():
        assert losses.weighted_entropy(torch.full((1, 2, 2), p)).item() == pytest.approx(expected, abs=1e-5)


def test_confusable_area_spares_the_three_most_probable_classes() -> None:
    maps = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).view(1, 5, 1, 1).expand(1, 5, 2, 2).clone().requires_grad_()
    probabilities = torch.tensor([[0.1, 0.3, 0.05, 0.25, 0.3]])
    loss = losses.confusable_area_loss(maps, probabilities)
    loss.backward()
    assert loss.item() == pytest.approx(1.0 + 3.0)
    assert maps.grad.sum((0, 2, 3)).tolist() == pytest.approx([1, 0, 1, 0, 0])


def test_confusable_area_of_three_classes_is_nothing() -> None:
    assert losses.confusable_area_loss(torch.ones(2, 3, 4, 4), torch.rand(2, 3)).item() == 0


def test_mask_alignment_moves_the_class_map_and_not_the_foreground() -> None:
    class_map, foreground = torch.full((1, 2, 2), 0.5, requires_grad=True), torch.ones(1, 2, 2, requires_grad=True)
    loss = losses.mask_alignment_loss(class_map, foreground)
    loss.backward()
    assert loss.item() == pytest.approx(0.25)
    assert foreground.grad is None
    assert (class_map.grad < 0).all()


def test_emptiness_is_the_mean_of_the_maps() -> None:
    assert losses.background_emptiness_loss(torch.tensor([[[0.0, 0.5]]])).item() == pytest.approx(0.25)


def test_dice_of_the_same_of_disjoint_and_of_half_masks() -> None:
    ones, zeros = torch.ones(1, 2, 2), torch.zeros(1, 2, 2)
    assert losses.dice_loss(ones, ones).item() == pytest.approx(0)
    assert losses.dice_loss(ones, zeros).item() == pytest.approx(1 - 1 / 5)
    assert losses.dice_loss(ones, torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])).item() == pytest.approx(1 - 5 / 7)


def test_a_map_that_touches_all_sides_of_its_box_projects_as_the_box() -> None:
    box = torch.zeros(1, 4, 4)
    box[:, 1:3, 1:4] = 1
    cross = torch.zeros(1, 4, 4)
    cross[:, 1, 1:4] = 1
    cross[:, 1:3, 2] = 1
    assert losses.projection_loss(cross, box).item() == pytest.approx(0)


def test_outside_the_box_every_cell_counts_and_inside_none() -> None:
    box = torch.zeros(1, 2, 2)
    box[0, 0, 0] = 1
    maps = torch.tensor([[[0.9, 0.5], [0.5, 0.5]]], requires_grad=True)
    loss = losses.outside_loss(maps, box)
    loss.backward()
    assert loss.item() == pytest.approx(LN2)
    assert maps.grad[0, 0, 0] == 0


def test_a_true_mask_costs_next_to_nothing_and_its_opposite_a_lot() -> None:
    drawn = torch.zeros(1, 4, 4)
    drawn[:, :2] = 1
    kind = torch.tensor([MASK_REGION])
    assert losses.region_loss(drawn, drawn, kind).item() == pytest.approx(0, abs=1e-4)
    assert losses.region_loss(1 - drawn, drawn, kind).item() > 10


def test_images_without_regions_cost_nothing_but_keep_the_graph() -> None:
    maps = torch.rand(2, 4, 4, requires_grad=True)
    loss = losses.region_loss(maps, torch.zeros(2, 8, 8), torch.full((2,), NO_REGION))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(maps.grad, torch.zeros(2, 4, 4))


def test_a_box_leaves_the_inside_free() -> None:
    box = torch.zeros(1, 4, 4)
    box[:, 1:3, 1:3] = 1
    diagonal = torch.zeros(1, 4, 4)
    diagonal[0, 1, 1] = diagonal[0, 2, 2] = 1
    assert losses.region_loss(diagonal, box, torch.tensor([BOX_REGION])).item() == pytest.approx(0, abs=1e-4)


def test_pairs_of_one_colour_have_to_agree_and_pairs_across_an_edge_need_not() -> None:
    images = torch.zeros(1, 3, 8, 8)
    images[..., 4:] = 10.0
    split = torch.zeros(1, 8, 8)
    split[..., 4:] = 1
    everywhere = torch.ones(1, 8, 8)
    assert losses.pairwise_loss(split, images, everywhere).item() == pytest.approx(0, abs=1e-5)
    assert losses.pairwise_loss(split, torch.zeros_like(images), everywhere).item() > 1
    assert losses.pairwise_loss(split, torch.zeros_like(images), torch.zeros(1, 8, 8)).item() == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: losses.classification_loss(torch.zeros(0, 3), torch.zeros(0, 3), False),
        lambda: losses.background_activation_loss(torch.zeros(0), torch.zeros(0)),
        lambda: losses.area_loss(torch.zeros(0, 2, 2)),
        lambda: losses.weighted_entropy(torch.zeros(0, 2, 2)),
        lambda: losses.mask_alignment_loss(torch.zeros(0, 2, 2), torch.zeros(0, 2, 2)),
        lambda: losses.background_emptiness_loss(torch.zeros(0, 2, 2)),
        lambda: losses.dice_loss(torch.zeros(0, 2, 2), torch.zeros(0, 2, 2)),
        lambda: losses.region_loss(torch.zeros(0, 2, 2), torch.zeros(0, 4, 4), torch.zeros(0, dtype=torch.long)),
        lambda: losses.pairwise_loss(torch.zeros(0, 2, 2), torch.zeros(0, 3, 8, 8), torch.zeros(0, 4, 4)),
    ],
)
def test_no_images_cost_nothing(call) -> None:
    assert call().item() == 0


def test_a_map_of_one_of_two_boxes_pays_where_boxes_count_one_by_one() -> None:
    maps, region = torch.zeros(1, 8, 8), torch.zeros(1, 8, 8)
    region[:, :, 0:4] = region[:, :, 4:8] = 1  # two boxes side by side, whose union is the whole image
    maps[:, 0, :] = maps[:, :, 0] = 1  # touches all sides of the union and of the left box, not those of the right one
    kind = torch.tensor([BOX_REGION])
    boxes = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]])
    united = losses.region_loss(maps, region, kind)
    each = losses.region_loss(maps, region, kind, (torch.tensor([0, 0]), boxes))
    left = losses.region_loss(maps, region, kind, (torch.tensor([0]), boxes[:1]))
    assert united.item() == pytest.approx(0, abs=1e-4) and left.item() == pytest.approx(0, abs=1e-4)
    # The right box sees one row of 8: dice 1 - (2 * 1 + 1) / (1 + 8 + 1) of its rows, 0 of its columns; mean of two.
    assert each.item() == pytest.approx(0.7 / 2, abs=1e-3)
