"""Pixel metrics on a handful of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from wsol_core.errors import DataError
from wsol_core.evaluation.pixel_metrics import PixelHistogram


def histogram(scores: list[float], truth: list[bool]) -> PixelHistogram:
    counted = PixelHistogram()
    counted.add(np.array([scores], np.float32), np.array([truth]))
    return counted


def test_a_perfect_map_reaches_1() -> None:
    perfect = histogram([1.0, 1.0, 0.0, 0.0], [True, True, False, False])
    assert perfect.px_ap() == perfect.p_iou() == 1


def test_average_precision_by_hand() -> None:
    # From above: hit (1/1), miss, hit (2/3): 0.5 * 1 + 0.5 * 2/3. Best pooled IoU: 2 of 3 pixels.
    counted = histogram([0.9, 0.7, 0.5, 0.1], [True, False, True, False])
    assert counted.px_ap() == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert counted.p_iou() == pytest.approx(2 / 3)


def test_a_constant_map_is_as_precise_as_the_share_of_object_pixels() -> None:
    assert histogram([0.5] * 4, [True, False, False, False]).px_ap() == pytest.approx(0.25)


def test_ignored_pixels_count_on_neither_side() -> None:
    counted = PixelHistogram()
    counted.add(np.array([[0.9, 0.8]], np.float32), np.array([[False, True]]), np.array([[True, False]]))
    assert counted.px_ap() == 1


def test_without_any_object_pixel_there_is_an_error() -> None:
    with pytest.raises(DataError, match="masks"):
        histogram([0.5], [False]).px_ap()
