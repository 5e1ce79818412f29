"""Kinds of mistakes on objects side by side, where what is wrong is plain to see."""

from __future__ import annotations

import pytest

from tests.wsol_core.evaluation.boxes_and_masks import SIZE_WH, found, true
from wsol_core.evaluation.mistakes import MOST_EXAMPLES, Mistake, MistakeCollection, MistakeKind, mistakes_of
from wsol_core.records import CorrectedRegion, Region

LEFT, RIGHT, BOTH = (0, 0, 40, 40), (40, 0, 80, 40), (0, 0, 80, 40)
FAR = (60, 50, 90, 80)


def kinds(
    predicted: list[Region], truth: list[CorrectedRegion]
) -> list[tuple[MistakeKind, tuple[int, ...], tuple[int, ...]]]:
    return [(each.kind, each.found, each.true) for each in mistakes_of(predicted, truth, SIZE_WH)]


def test_what_a_person_would_leave_is_no_mistake() -> None:
    assert kinds([found("cat", LEFT), found("dog", (40, 0, 80, 33))], [true("cat", LEFT), true("dog", RIGHT)]) == []
    assert kinds([], []) == []


def test_an_object_that_nothing_meets_is_missed_by_its_share_of_the_image() -> None:
    assert mistakes_of([], [true("cat", LEFT)], SIZE_WH) == [Mistake(MistakeKind.MISSED, (), (0,), 0.2)]


def test_one_prediction_over_two_neighbours_is_merged_and_they_are_not_missed_as_well() -> None:
    apart = [true("cat", (0, 0, 30, 40)), true("cat", (50, 0, 80, 40))]
    assert kinds([found("cat", BOTH)], apart) == [(MistakeKind.MERGED, (0,), (0, 1))]
    # Even where it meets one of them at an IoU of .5.
    assert kinds([found("cat", BOTH)], [true("cat", LEFT), true("cat", RIGHT)]) == [(MistakeKind.MERGED, (0,), (0, 1))]


def test_a_prediction_over_two_classes_is_merged_and_so_is_the_other_class_over_both() -> None:
    both = [found("king", BOTH), found("queen", BOTH)]
    assert kinds(both, [true("king", LEFT), true("queen", RIGHT)]) == [
        (MistakeKind.MERGED, (0,), (0, 1)),
        (MistakeKind.MERGED, (1,), (0, 1)),
    ]


def test_a_box_that_fits_its_object_merges_nothing_that_lies_in_it() -> None:
    inside = [true("horse", BOTH), true("rider", (30, 0, 45, 20))]
    assert kinds([found("horse", BOTH)], inside) == [(MistakeKind.MISSED, (), (1,))]
    assert kinds([found("horse", BOTH), found("rider", (30, 0, 45, 20))], inside) == []


def test_a_loose_box_merges_no_object_that_another_prediction_fits() -> None:
    predicted = [found("cat", (0, 0, 62, 40)), found("cat", RIGHT)]
    assert kinds(predicted, [true("cat", LEFT), true("cat", RIGHT)]) == [(MistakeKind.LOOSE, (0,), (0,))]


def test_two_predictions_on_one_object_are_split_also_when_one_of_them_fits() -> None:
    halves = [found("cat", (0, 0, 20, 40)), found("cat", (22, 0, 40, 40))]
    assert kinds(halves, [true("cat", LEFT)]) == [(MistakeKind.SPLIT, (0, 1), (0,))]
    assert kinds([found("cat", LEFT), found("cat", (0, 0, 15, 15))], [true("cat", LEFT)]) == [
        (MistakeKind.SPLIT, (0, 1), (0,))
    ]


@pytest.mark.parametrize(("right", "loose"), [(31, True), (32, False), (20, True), (19, False)])
def test_an_iou_from_half_to_below_80_percent_is_loose(right: float, loose: bool) -> None:
    wrong = kinds([found("cat", (0, 0, right, 40))], [true("cat", LEFT)])
    assert ((MistakeKind.LOOSE, (0,), (0,)) in wrong) == loose
    assert ((MistakeKind.MISSED, (), (0,)) in wrong) == (right == 19)


def test_a_prediction_on_an_object_of_another_class_is_of_the_wrong_class() -> None:
    assert kinds([found("cat", LEFT)], [true("dog", LEFT)]) == [(MistakeKind.WRONG_CLASS, (0,), (0,))]
    # Also where the object has its own prediction, and the class its own object, which is missed then.
    assert kinds([found("cat", LEFT), found("dog", LEFT)], [true("dog", LEFT), true("cat", FAR)]) == [
        (MistakeKind.WRONG_CLASS, (0,), (0,)),
        (MistakeKind.MISSED, (), (1,)),
    ]


def test_a_prediction_far_from_everything_is_nothing() -> None:
    wrong = mistakes_of([found("cat", FAR, 0.9)], [true("cat", LEFT)], SIZE_WH)
    assert wrong == [
        Mistake(MistakeKind.NOTHING_THERE, (0,), (), 0.9),
        Mistake(MistakeKind.MISSED, (), (0,), 0.2),
    ]
    assert kinds([found("cat", FAR)], []) == [(MistakeKind.NOTHING_THERE, (0,), ())]


def test_a_part_of_an_object_is_not_nothing_and_the_object_is_missed() -> None:
    assert kinds([found("cat", (0, 0, 15, 15))], [true("cat", LEFT)]) == [(MistakeKind.MISSED, (), (0,))]


def test_the_collection_counts_all_and_keeps_the_worst_images() -> None:
    collection = MistakeCollection()
    for size in range(1, 11):
        collection.add(f"{size}.jpg", [], [true("cat", (0, 0, size, size))], SIZE_WH)
    collection.add("two.jpg", [], [true("cat", (0, 0, 2, 2)), true("dog", (4, 0, 5, 5))], SIZE_WH)
    by_kind = collection.by_kind()
    missed = by_kind[MistakeKind.MISSED]
    assert (missed.count, missed.images, len(missed.worst)) == (12, 11, MOST_EXAMPLES)
    assert [image.file for image in missed.worst[:3]] == ["two.jpg", "10.jpg", "9.jpg"]
    assert set(by_kind) == set(MistakeKind) and by_kind[MistakeKind.SPLIT].count == 0
