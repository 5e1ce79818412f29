"""What counts as a collapse, on scores and maps made by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsol_core.training.collapse import Examined, Fault, equal_maps, find_collapse, unlearned_classes, useless_maps

CLASSES = ("king", "queen", "ace")


def one_hot(classes: list[int], count: int = 3) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(classes), count).float()


def a_square(images: int, side: int = 8, value: float = 0.95) -> Tensor:
    maps = torch.full((images, 16, 16), 0.02)
    maps[:, 4 : 4 + side, 4 : 4 + side] = value
    return maps


def test_a_model_that_has_learned_has_no_fault() -> None:
    labels = one_hot([0, 1, 2] * 6)
    assert find_collapse(Examined(3 * labels - 1, labels, a_square(18), torch.arange(18)), CLASSES) == []


def test_of_too_few_images_nothing_is_said() -> None:
    labels = one_hot([0, 1, 2])
    assert find_collapse(Examined(-labels, labels, torch.zeros(3, 8, 8), torch.arange(3)), CLASSES) == []


def test_one_answer_for_all_images_is_a_collapse_also_where_a_class_is_frequent() -> None:
    labels = one_hot([0] * 90 + [1] * 5 + [2] * 5)
    found = unlearned_classes(one_hot([0] * 100), labels, CLASSES)
    assert found is not None and found.fault == Fault.CLASSES
    assert "33 % of the images are classified right, and one answer for all would be right for 33 %" in found.sentence
    assert unlearned_classes(labels, labels, CLASSES) is None


def test_accuracy_near_chance_is_a_collapse_and_a_mediocre_one_is_not() -> None:
    labels = one_hot([0, 1, 2] * 10)
    near, mediocre = labels.roll(1, 0).clone(), labels.roll(1, 0).clone()
    near[:12], mediocre[:18] = labels[:12], labels[:18]
    assert unlearned_classes(near, labels, CLASSES) is not None  # .40; chance is .33
    assert unlearned_classes(mediocre, labels, CLASSES) is None  # .60


def test_images_with_several_classes_are_right_by_any_of_them_and_chance_counts_what_stands_together() -> None:
    labels = torch.tensor([[1.0, 1, 0], [1, 0, 1]] * 10)  # every image has a king
    found = unlearned_classes(one_hot([0] * 20), labels, CLASSES)  # one answer is right everywhere
    assert found is not None and "Class queen is not learned" in found.sentence
    labels = torch.tensor([[1.0, 1, 0], [0, 1, 1], [1, 0, 1]] * 8)
    found = unlearned_classes(one_hot([0] * 24) - 0.5, labels, CLASSES)
    assert found is not None and "one answer for all would be right for 67 %" in found.sentence
    assert unlearned_classes(labels - 0.5, labels, CLASSES) is None


def test_a_class_that_is_never_the_answer_is_named() -> None:
    labels = one_hot([0] * 10 + [1] * 10 + [2] * 10)
    found = unlearned_classes(one_hot([0] * 10 + [1] * 10 + [1] * 10), labels, CLASSES)
    assert found is not None and found.sentence.startswith("Class ace is not learned: none of 10 images of it")
    few = one_hot([0] * 10 + [1] * 10 + [2] * 3)
    assert unlearned_classes(one_hot([0] * 10 + [1] * 13), few, CLASSES) is None


def test_one_class_alone_has_no_scores_to_judge() -> None:
    assert unlearned_classes(torch.zeros(9, 1), torch.ones(9, 1), ("king",)) is None


@pytest.mark.parametrize(
    ("maps", "fault"),
    [
        (torch.full((9, 8, 8), 0.001), Fault.EMPTY),
        (torch.full((9, 8, 8), 0.97), Fault.FULL),
        (torch.full((9, 8, 8), 0.5), Fault.FLAT),
        (a_square(9), None),
        (a_square(9, side=15), None),
    ],
)
def test_maps_are_empty_full_flat_or_fine(maps: Tensor, fault: Fault | None) -> None:
    found = useless_maps(maps)
    assert (found and found.fault) == fault


def test_maps_of_a_tiny_object_are_not_empty() -> None:
    maps = torch.zeros(9, 56, 56)
    maps[:, 5:8, 5:8] = 0.9
    assert maps.mean() < 0.005
    assert useless_maps(maps) is None


def test_maps_that_are_not_finite_count_as_empty() -> None:
    labels = one_hot([0, 1, 2] * 4)
    found = find_collapse(Examined(labels, labels, torch.full((12, 4, 4), torch.nan), torch.arange(12)), CLASSES)
    assert [each.fault for each in found] == [Fault.EMPTY]


def test_equal_maps_of_different_classes_in_an_image_are_a_collapse() -> None:
    image_of = torch.arange(6).repeat_interleave(2)
    same = a_square(12)
    found = equal_maps(same, image_of)
    assert found is not None and "they differ by 0.000" in found.sentence
    apart = same.clone()
    apart[::2] = apart[::2].roll(6, 2)
    assert equal_maps(apart, image_of) is None
    assert equal_maps(same, torch.arange(12)) is None  # one class an image, or one map for all classes
    assert equal_maps(same[:8], image_of[:8]) is None  # four images are too few
