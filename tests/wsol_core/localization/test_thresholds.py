"""Thresholds with and without boxes, and the calibration of scores, on maps whose best answer is known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from wsol_core.localization.thresholds import (
    BINS,
    GRID,
    best_threshold,
    box_ious,
    class_thresholds,
    fit_platt_scaling,
    mask_ious,
    otsu_of_maps,
    otsu_threshold,
    threshold_without_boxes,
)
from wsol_core.localization.worth import Calibration
from wsol_core.records import FloatMap

RAMP = np.tile(np.linspace(0, 1, 101, dtype=np.float32), (101, 1))  # column c has the value c / 100


def at(threshold: float) -> int:
    """The row of GRID."""
    return int(np.argmin(np.abs(GRID - threshold)))


def counts(**bins: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    values = np.zeros(BINS, np.int64)
    for name, count in bins.items():
        values[int(name[1:])] = count
    return values


def test_otsu_parts_two_kinds_in_the_middle_of_the_gap() -> None:
    assert otsu_threshold(counts(b0=50, b255=50)) == pytest.approx(0.5)
    assert otsu_threshold(counts(b0=90, b64=10)) == pytest.approx((1 / 256 + 64 / 256) / 2)


def test_otsu_has_no_answer_for_one_value() -> None:
    assert otsu_threshold(counts(b7=100)) is None
    assert otsu_threshold(counts()) is None


def test_each_map_has_one_vote_and_constant_ones_have_none() -> None:
    votes = [counts(b0=1, b63=1), counts(b0=5, b127=5), counts(b0=900, b191=900), counts(b0=7)]
    assert otsu_of_maps(votes) == pytest.approx((1 + 127) / 512)
    assert otsu_of_maps([counts(b0=7)]) == 0.5


def test_mask_iou_is_swept_over_the_grid() -> None:
    ious = mask_ious(RAMP, RAMP > 0.4)
    assert ious[at(0.4)] == 1.0
    assert ious[at(0.2)] == pytest.approx(60 / 80, abs=0.02)
    assert ious[at(0.7)] == pytest.approx(30 / 60, abs=0.02)
    assert best_threshold([ious]) == pytest.approx(0.4)


def test_a_mask_that_is_empty_or_missed_scores_zero() -> None:
    assert not mask_ious(RAMP, np.zeros_like(RAMP, np.bool_)).any()
    assert not mask_ious(np.zeros_like(RAMP), RAMP > 0.5).any()


def test_box_iou_is_that_of_the_largest_part_with_the_nearest_true_box() -> None:
    score_map = np.zeros((20, 20), np.float32)
    score_map[2:12, 2:12] = 0.5
    score_map[14:18, 14:18] = 1.0
    ious = box_ious(score_map, [(2, 2, 12, 7), (14, 14, 18, 18)])
    assert ious[at(0.3)] == pytest.approx(0.5)
    assert ious[at(0.6)] == pytest.approx(1.0)
    assert not box_ious(np.zeros((20, 20), np.float32), [(0, 0, 5, 5)]).any()


def test_the_best_threshold_serves_all_images_and_is_the_middle_of_equals() -> None:
    flat = np.zeros(len(GRID))
    one, other = flat.copy(), flat.copy()
    one[10:21], other[14:30] = 1.0, 1.0
    assert best_threshold([one, other]) == pytest.approx(float(GRID[17]))


def test_a_class_with_few_images_is_drawn_to_the_others() -> None:
    assert class_thresholds({"cat": (5, 0.8), "dog": (95, 0.8)}, 0.4) == pytest.approx({"cat": 0.6, "dog": 0.78})


def test_without_boxes_the_edge_of_the_image_tells_where_masks_begin() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(90, 110, (112, 112, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:112, :112]
    distance = np.hypot(rows - 56, columns - 56)
    image[distance < 30] = (200, 40, 40)
    soft: FloatMap = np.clip(1 - distance / 70, 0, 1).astype(np.float32)  # 0.57 at the disc's edge
    assert threshold_without_boxes([soft] * 3, [image] * 3) == pytest.approx(1 - 30 / 70, abs=0.03)


def test_without_edges_to_cut_at_otsu_decides() -> None:
    two_kinds = np.zeros((112, 112), np.float32)
    two_kinds[0, 0] = 1.0  # too small to cut
    assert threshold_without_boxes([two_kinds], [np.zeros((112, 112, 3), np.uint8)]) == pytest.approx(0.5)
    assert threshold_without_boxes([], []) == 0.5


def test_the_cut_reads_images_of_any_size() -> None:
    soft = cv2.resize(RAMP, (224, 224)).astype(np.float32)
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 45:] = 255  # from 70 % on
    assert threshold_without_boxes([soft], [image]) == pytest.approx(0.7, abs=0.03)


def test_many_examples_give_back_the_curve_they_follow() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(0, 2, 20000)
    success = rng.random(20000) < 1 / (1 + np.exp(-(2 * raw - 1)))
    fitted = fit_platt_scaling(list(1 / (1 + np.exp(-raw))), list(success))
    assert fitted.scale == pytest.approx(2, abs=0.1)
    assert fitted.shift == pytest.approx(-1, abs=0.1)


def test_few_or_one_sided_examples_leave_scores_nearly_alone() -> None:
    assert fit_platt_scaling([], []) == Calibration(1.0, 0.0)
    before = Calibration(1.5, -1.0)
    assert fit_platt_scaling([], [], before) == before
    fitted = fit_platt_scaling([0.5, 0.5], [True, True])
    assert fitted.scale == pytest.approx(1.0)
    assert 0 < fitted.shift < 1


def test_extreme_raw_scores_do_not_run_away() -> None:
    fitted = fit_platt_scaling([0.001] * 50 + [0.999] * 50, [False] * 50 + [True] * 50)
    assert math.isfinite(fitted.scale) and math.isfinite(fitted.shift)


def test_regions_that_all_look_sure_and_are_right_half_of_the_time_score_a_half() -> None:
    fitted = fit_platt_scaling([0.998] * 60, [True, False] * 30)
    assert fitted.of(0.998) == pytest.approx(0.5, abs=0.01)


def test_the_order_of_scores_never_turns() -> None:
    fitted = fit_platt_scaling([0.05, 0.95] * 50, [True, False] * 50)
    assert fitted.scale == pytest.approx(0.1)
    assert fitted.shift == pytest.approx(0.0, abs=1e-9)
