"""Acceptance, edits, IoU, labelling time and doubts, against what can be counted by hand."""

from __future__ import annotations

import pytest

from backend.reports.agreement import Doubt, Times, agreement, by_class, doubts, labelling_time
from backend.storage.ledger_rows import ClassDoubt, LedgerRow
from tests.backend.support.ledger import FIRST, SECOND, an_object, row
from wsol_core.evaluation.mistakes import MistakeKind

# 4 tasks reviewed, 1 untouched; 4 objects predicted, 2 accepted; 1 edited, 1 deleted, 2 added. Two have masks, too.
ROWS = [
    row(1, an_object("accepted", mask_iou=1.0)),
    row(2, an_object("edited", 0.6, mask_iou=0.4, mistake=MistakeKind.MERGED)),
    row(3, an_object("deleted"), an_object("added", mistake=MistakeKind.MISSED)),
    row(4, an_object("accepted"), an_object("added", label="crab"), labels=("fish", "crab")),
    row(5, outcome="skipped"),
    row(6, outcome="open"),
    row(7, an_object("added"), version=None),
]


def test_acceptance_edits_and_iou_are_counted() -> None:
    found = agreement(ROWS)
    assert (found.tasks, found.accepted_tasks, found.task_acceptance) == (4, 1, 0.25)
    assert (found.objects, found.accepted_objects, found.object_acceptance) == (4, 2, 0.5)
    assert found.edits_per_task == {"edited": 0.25, "deleted": 0.25, "added": 0.5}
    assert (found.boxes, found.box_iou) == (3, round((1 + 0.6 + 1) / 3, 4))
    assert (found.masks, found.mask_iou) == (2, 0.7)
    assert (found.mistakes["merged"], found.mistakes["missed"], sum(found.mistakes.values())) == (1, 1, 2)


def test_of_nothing_there_are_no_shares() -> None:
    found = agreement([])
    assert (found.tasks, found.task_acceptance, found.object_acceptance, found.box_iou) == (0, None, None, None)
    assert found.edits_per_task == {"edited": None, "deleted": None, "added": None}


def test_a_task_counts_for_each_of_its_classes() -> None:
    found = by_class(ROWS)
    assert list(found) == ["crab", "fish"]
    assert (found["crab"].tasks, found["crab"].accepted_tasks, found["crab"].objects) == (1, 0, 0)
    assert found["crab"].edits_per_task["added"] == 1
    assert (found["fish"].tasks, found["fish"].accepted_tasks, found["fish"].objects) == (4, 2, 4)


def test_an_object_without_a_class_is_of_the_only_one_that_the_picture_has() -> None:
    alone = row(1, an_object("accepted", label=None))
    both = row(2, an_object("accepted", label=None), labels=("fish", "crab"))
    assert {label: each.objects for label, each in by_class([alone, both]).items()} == {"crab": 0, "fish": 1, None: 1}


def test_an_empty_prediction_from_before_the_first_training_is_no_prediction() -> None:
    assert agreement([row(1, an_object("added"), version="boxstrap-7-untrained")]).tasks == 0


def test_an_edit_that_nobody_could_measure_has_no_part_in_the_mean() -> None:
    found = agreement([row(1, an_object("edited", None), an_object("edited", 0.8))])
    assert (found.boxes, found.box_iou, found.objects) == (1, 0.8, 2)


def timed(with_s: list[float | None], without_s: list[float | None]) -> list[LedgerRow]:
    helped = [row(number, an_object("accepted"), lead_time_s=time) for number, time in enumerate(with_s)]
    alone = [row(100 + n, an_object("added"), version=None, lead_time_s=time) for n, time in enumerate(without_s)]
    return [*helped, *alone]


def test_minutes_saved_are_the_medians_difference_for_each_task_with_a_prediction() -> None:
    found = labelling_time(timed([4, 6, 8, 10, 12, 3600, None], [20, 30, 40, 50, 60]))
    # with: 4 6 8 10 12 3600, median 9; 3600 is above 90. Quartiles at places 1.25 and 3.75 of 0 to 5.
    assert found.with_prediction == Times(6, 9, 8, 1, 6.5, 11.5)
    assert found.without == Times(5, 40, 40, 0, 30, 50)
    assert found.minutes_saved == round((40 - 9) * 6 / 60, 1) == 3.1
    assert found.sentence.startswith("About 3 minutes saved: the median task took 9 s with a prediction and 40 s")


def test_lost_time_is_called_lost() -> None:
    found = labelling_time(timed([60] * 5, [12] * 5))
    assert found.minutes_saved == -4
    assert "4 minutes lost" in found.sentence


@pytest.mark.parametrize(("helped", "alone"), [(4, 5), (5, 4), (0, 0)])
def test_fewer_than_five_tasks_of_a_kind_say_nothing(helped: int, alone: int) -> None:
    found = labelling_time(timed([10] * helped, [20] * alone))
    assert found.minutes_saved is None
    assert "cannot be known yet" in found.sentence and "5 of each are needed" in found.sentence
    assert (found.with_prediction.tasks, found.without.tasks) == (helped, alone)


def test_times_of_skipped_open_and_empty_tasks_do_not_count() -> None:
    others = [
        row(1, outcome="skipped", lead_time_s=5),
        row(2, outcome="open", version=None, lead_time_s=5),
        row(3, outcome="corrected", version=None, lead_time_s=5),
        row(4, an_object("accepted"), lead_time_s=0),
        row(
            5, an_object("edited", None), an_object("added"), version=None, lead_time_s=5
        ),  # its prediction was deleted
    ]
    found = labelling_time(others)
    assert (found.with_prediction.tasks, found.without.tasks) == (0, 0)


def doubt(seen: str, probability: float) -> ClassDoubt:
    return ClassDoubt(("fish",), seen, probability)


def test_doubts_come_most_probable_first_and_then_what_people_deleted() -> None:
    rows = [
        row(1, an_object("deleted"), an_object("deleted")),
        row(2, doubt=doubt("crab", 0.7)),
        row(3, an_object("deleted"), an_object("added")),
        row(4, an_object("accepted"), doubt=doubt("crab", 0.9)),
        row(5, an_object("deleted"), doubt=doubt("crab", 0.6)),
        row(6, an_object("deleted", label="crab")),
        row(7, an_object("deleted"), version=SECOND, outcome="skipped"),
    ]
    assert doubts(rows) == [
        Doubt(4, ["fish"], "crab", 0.9),
        Doubt(2, ["fish"], "crab", 0.7),
        Doubt(5, ["fish"], "crab", 0.6),
        Doubt(1, ["fish"]),
    ]


def test_a_doubt_ends_when_a_person_gives_the_class_that_the_model_sees() -> None:
    assert doubts([row(1, labels=("crab",), doubt=doubt("crab", 0.9), version=FIRST)]) == []
