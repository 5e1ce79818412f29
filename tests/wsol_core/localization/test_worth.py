"""Which regions save the person who corrects them time, by hand-computed seconds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from wsol_core.localization.worth import (
    BOX_COSTS,
    MASK_COSTS,
    TYPICAL_CONTRAST,
    Calibration,
    Costs,
    evidence,
    only_worth_showing,
    worth_showing,
)
from wsol_core.records import Localization, Region

COSTS = Costs(verify=1.0, adjust=5.0, delete=2.0, draw=6.0)


def a_region(score: float, keep: float | None) -> Region:
    return Region("crab", (0.0, 0.0, 4.0, 4.0), score, (), np.ones((4, 4), np.bool_), keep)


@pytest.mark.parametrize(
    ("accept", "keep", "saved"),
    [
        (1.0, 1.0, 5.0),  # six seconds of drawing, less the look at it
        (0.0, 1.0, 0.0),  # its edges are moved instead
        (0.0, 0.0, -3.0),  # looked at, and deleted
        (0.5, 0.75, 0.5 * 5 + 0.25 * 0 - 0.25 * 3),
    ],
)
def test_what_showing_saves_is_drawing_less_looking_adjusting_and_deleting(
    accept: float, keep: float, saved: float
) -> None:
    assert COSTS.saved(accept, keep) == pytest.approx(saved)


def test_regions_that_cost_more_than_they_save_are_left_out() -> None:
    regions = [a_region(0.9, 0.95), a_region(0.1, 0.4), a_region(0.1, None)]
    assert worth_showing(regions) == [regions[0], regions[2]]
    found = Localization("1.jpg", (4, 4), {"crab": 1.0}, tuple(regions))
    shown = only_worth_showing(found)
    assert (shown.regions, shown.left_out) == ((regions[0], regions[2]), 1)


def test_a_box_that_is_shown_saves_edits_as_well_as_seconds() -> None:
    shares = np.linspace(0, 1, 41)
    for keep in shares:
        for accept in shares[shares <= keep]:
            assert BOX_COSTS.saved(accept, keep) <= 0 or accept + keep >= 1


def test_a_mask_is_worth_showing_sooner_than_a_box() -> None:
    assert MASK_COSTS.saved(0.1, 0.6) > 0 > BOX_COSTS.saved(0.1, 0.6)


def test_a_calibration_is_a_sigmoid_of_the_scores_logit() -> None:
    assert Calibration().of(0.4) == pytest.approx(0.4)
    assert Calibration(2.0, 1.0).of(0.5) == pytest.approx(1 / (1 + math.exp(-1)))
    assert Calibration(2.0, 1.0).shifted(-1.0).of(0.5) == pytest.approx(0.5)
    for score in (0.001, 0.5, 0.999):
        assert 0 <= Calibration(1e6, 0.0).of(score) <= 1


def test_the_further_an_outline_stands_out_the_more_speaks_for_its_region() -> None:
    region = a_region(0.5, None)
    assert evidence(region) == 0.5
    assert evidence(replace(region, contrast=TYPICAL_CONTRAST)) == pytest.approx(0.5)
    assert evidence(replace(region, contrast=TYPICAL_CONTRAST + 2)) == pytest.approx(1 / (1 + math.exp(-2)))
    assert 0 < evidence(replace(region, contrast=0.0)) < 0.5 < evidence(replace(region, contrast=20.0)) < 1
