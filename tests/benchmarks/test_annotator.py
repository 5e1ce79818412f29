"""The annotator of the simulated project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.labelstudio.brush_rle import decode_mask, encode_mask
from backend.labelstudio.corrections import drawn_regions
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prediction_check import check_prediction
from backend.labelstudio.task_labels import given_labels
from benchmarks.annotator import Candidate, Work, annotate, label_config, ranking, summary
from wsol_core.records import BoolMask, BoxXyxy, CorrectedRegion

SIZE_WH = (200, 100)
TRUE: BoxXyxy = (20.0, 10.0, 120.0, 60.0)
CONFIG = LabelConfig.parse(label_config(["fish", 'a "<crab>"']))


def box(name: str, xyxy: BoxXyxy, label: str = "fish") -> dict[str, Any]:
    x0, y0, x1, y1 = xyxy
    value = {"x": x0 / 2, "y": y0, "width": (x1 - x0) / 2, "height": y1 - y0, "rotation": 0}
    return region(name, "box", "rectanglelabels", {**value, "rectanglelabels": [label]})


def brush(name: str, mask: BoolMask, label: str = "fish") -> dict[str, Any]:
    return region(name, "mask", "brushlabels", {"format": "rle", "rle": encode_mask(mask), "brushlabels": [label]})


def region(name: str, control: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    size = {"original_width": SIZE_WH[0], "original_height": SIZE_WH[1], "image_rotation": 0}
    return {"id": name, "from_name": control, "to_name": "image", "type": kind, **size, "score": 0.7, "value": value}


def filled(xyxy: BoxXyxy) -> BoolMask:
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    x0, y0, x1, y1 = map(int, xyxy)
    mask[y0:y1, x0:x1] = True
    return mask


def origins(work: Work) -> list[tuple[str, str]]:
    return [(each["id"], each["origin"]) for each in work.result]


@pytest.fixture
def truth(tmp_path: Path) -> Sequence[CorrectedRegion]:
    Image.fromarray(filled(TRUE)).save(tmp_path / "mask.png")
    return [CorrectedRegion("fish", TRUE, tmp_path / "mask.png")]


def test_what_is_right_is_submitted_as_it_was_predicted(truth: Sequence[CorrectedRegion]) -> None:
    predicted = [box("b", (20, 10, 115, 60)), brush("m", filled((20, 10, 115, 60)))]
    work = annotate(predicted, truth, SIZE_WH)
    assert work.accepted and work.corrections == 0
    assert work.result == [{**each, "origin": "prediction"} for each in predicted]
    assert work.box_iou == pytest.approx(0.95, abs=0.01) and work.mask_iou == pytest.approx(0.95)


def test_a_box_that_is_off_gets_the_true_place_and_keeps_its_id(truth: Sequence[CorrectedRegion]) -> None:
    work = annotate([box("b", (20, 10, 90, 60)), brush("m", filled(TRUE))], truth, SIZE_WH)
    assert origins(work) == [("b", "prediction-changed"), ("m", "prediction")]
    assert work.result[0]["value"] == box("b", TRUE)["value"]
    assert (work.edited, work.deleted, work.added, work.masks, work.accepted) == (1, 0, 0, 0, False)


def test_a_box_on_nothing_goes_and_what_was_missed_is_drawn(truth: Sequence[CorrectedRegion]) -> None:
    work = annotate([box("b", (150, 70, 200, 100)), brush("m", filled(TRUE))], truth, SIZE_WH)
    assert (work.edited, work.deleted, work.added) == (0, 1, 1)
    assert work.result[0]["origin"] == "manual" and work.result[0]["value"] == box("b", TRUE)["value"]
    assert work.box_iou == 0


def test_a_box_of_another_class_is_not_taken_for_the_true_one(truth: Sequence[CorrectedRegion]) -> None:
    work = annotate([box("b", TRUE, 'a "<crab>"'), brush("m", filled(TRUE))], truth, SIZE_WH)
    assert (work.edited, work.deleted, work.added) == (0, 1, 1)


def test_two_boxes_on_one_object_are_one_too_many(truth: Sequence[CorrectedRegion]) -> None:
    work = annotate([box("worse", (20, 10, 60, 60)), box("better", TRUE), brush("m", filled(TRUE))], truth, SIZE_WH)
    assert origins(work)[0] == ("better", "prediction")
    assert (work.edited, work.deleted, work.added) == (0, 1, 0)


def test_one_box_around_two_objects_becomes_one_of_them() -> None:
    two = [CorrectedRegion("fish", (0, 0, 100, 100)), CorrectedRegion("fish", (100, 0, 150, 100))]
    work = annotate([box("both", (0, 0, 150, 100))], two, SIZE_WH)
    assert (work.edited, work.deleted, work.added) == (1, 0, 1)
    assert work.box_iou == pytest.approx(2 / 3 / 2, abs=0.01)


def test_of_wrong_masks_one_becomes_the_true_one_and_the_others_go(truth: Sequence[CorrectedRegion]) -> None:
    predicted = [box("b", TRUE), brush("m", filled((20, 10, 40, 60))), brush("n", filled((150, 0, 200, 50)))]
    work = annotate(predicted, truth, SIZE_WH)
    assert origins(work) == [("b", "prediction"), ("m", "prediction-changed")]
    assert np.array_equal(decode_mask(work.result[1]["value"]["rle"], SIZE_WH), filled(TRUE))
    assert (work.corrections, work.masks, work.accepted) == (0, 2, False)
    assert work.mask_iou == pytest.approx(0.2)


def test_of_two_pieces_one_becomes_the_whole(truth: Sequence[CorrectedRegion]) -> None:
    predicted = [box("b", TRUE), brush("m", filled((20, 10, 90, 60))), brush("n", filled((90, 10, 120, 60)))]
    work = annotate(predicted, truth, SIZE_WH)
    assert (work.masks, work.mask_iou) == (2, pytest.approx(0.7))
    assert [each["id"] for each in work.result] == ["b", "m"]


def test_neighbours_get_a_mask_each_that_belongs_to_their_box(tmp_path: Path) -> None:
    boxes: list[BoxXyxy] = [(20, 10, 80, 60), (80, 10, 140, 60)]
    for index, each in enumerate(boxes):
        Image.fromarray(filled(each)).save(tmp_path / f"{index}.png")
    truth = [CorrectedRegion("fish", each, tmp_path / f"{index}.png") for index, each in enumerate(boxes)]
    both: BoxXyxy = (20, 10, 140, 60)
    work = annotate([box("0a1b2c3d-0", both), brush("0a1b2c3d-1", filled(both))], truth, SIZE_WH)
    assert (work.edited, work.added, work.deleted, work.masks) == (1, 1, 0, 2)
    task = {"id": 1, "data": {"label": "fish"}, "annotations": [{"id": 1, "result": work.result}]}
    read = sorted(drawn_regions(task, CONFIG), key=lambda each: each.box_xyxy)
    assert [each.box_xyxy for each in read] == [pytest.approx(each) for each in boxes]
    assert all(np.array_equal(each.mask, filled(own)) for each, own in zip(read, boxes, strict=True))


def test_without_a_true_mask_the_box_alone_decides() -> None:
    work = annotate([box("b", TRUE), brush("m", filled((0, 0, 5, 5)))], [CorrectedRegion("fish", TRUE)], SIZE_WH)
    assert work.accepted and work.mask_iou is None
    assert origins(work) == [("b", "prediction"), ("m", "prediction")]


def test_an_empty_prediction_is_drawn_by_hand(truth: Sequence[CorrectedRegion]) -> None:
    work = annotate([], truth, SIZE_WH)
    assert [each["origin"] for each in work.result] == ["manual", "manual"]
    assert (work.added, work.masks, work.box_iou, work.mask_iou) == (1, 1, 0, 0)
    result = [{**each, "score": 1.0} for each in work.result]  # what a person drew has none
    check_prediction({"result": result, "score": 1.0, "model_version": "any"}, CONFIG)


def test_the_training_reads_back_what_was_submitted(truth: Sequence[CorrectedRegion]) -> None:
    work = annotate([box("b", (20, 10, 90, 60))], truth, SIZE_WH)
    task = {"id": 1, "data": {"label": "fish"}, "annotations": [{"id": 1, "result": work.result}]}
    (read,) = drawn_regions(task, CONFIG)
    assert read.box_xyxy == pytest.approx(TRUE)
    assert read.mask is not None and np.array_equal(read.mask, filled(TRUE))


def test_the_class_comes_with_the_picture() -> None:
    assert given_labels({"id": 1, "data": {"label": 'a "<crab>"'}, "annotations": []}, CONFIG) == ('a "<crab>"',)


def test_the_ranking_takes_the_least_solved_cluster_and_in_it_the_lowest_score() -> None:
    tasks = [
        Candidate(task, cluster, score)
        for task, cluster, score in [(1, "a", 0.3), (2, "a", 0.1), (3, "b", 0.9), (4, "b", 0.8), (5, "c", 0.5)]
    ]
    assert [each.task for each in ranking(tasks, {"b": 2, "c": 1})] == [2, 1, 5, 4, 3]


def test_the_summary_counts_tasks_and_regions(truth: Sequence[CorrectedRegion]) -> None:
    right = [box("b", TRUE), brush("m", filled(TRUE))]
    found = summary([annotate(right, truth, SIZE_WH), annotate([], truth, SIZE_WH)])
    assert (found["tasks"], found["accepted"], found["corrected"]) == (2, 1, 1)
    assert (found["corrections"], found["corrections_per_task"], found["masks"]) == (1, 0.5, 1)
    assert (found["box_iou"], found["mask_iou"], found["acceptance_rate"]) == (0.5, 0.5, 0.5)
