"""Risk, coverage, thresholds and calibration, against what can be computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.reports.scores import MOST_POINTS, RiskPoint, reliability, risk_curve, score_report, wilson
from tests.backend.support.ledger import FIRST, SECOND, an_object, row, scored


def test_wilson_of_none_and_of_all() -> None:
    spread = 1.2815515655446004**2 / 20  # z² / n; the far end of none is spread / (1 + spread)
    assert wilson(0, 20) == pytest.approx((0, spread / (1 + spread)))
    assert wilson(20, 20) == pytest.approx((1 / (1 + spread), 1))


def test_wilson_of_two_in_twenty() -> None:
    # z² / n = 0.08212; centre (0.1 + 0.04106) / 1.08212 = 0.13036;
    # half 1.28155 √(0.0045 + 0.0010265) / 1.08212 = 0.08804
    assert wilson(2, 20) == pytest.approx((0.04232, 0.2184), abs=1e-4)


def test_risk_counts_the_wrong_ones_at_or_above_each_score() -> None:
    curve = risk_curve([(0.2, False), (0.5, False), (0.5, True), (0.9, True)])
    assert [(point.threshold, point.objects, point.coverage, point.risk) for point in curve] == [
        (0.2, 4, 1, 0.5),
        (0.5, 3, 0.75, 0.3333),
        (0.9, 1, 0.25, 0),
    ]


def test_a_threshold_is_rounded_so_that_its_own_object_stays() -> None:
    thresholds = [
        point.threshold for point in risk_curve([(0.29, True), (0.56789, True), (0.57, True), (0.99999, True)])
    ]
    assert thresholds == [0.29, 0.5678, 0.57, 0.9999]


def test_the_threshold_is_the_lowest_that_is_sure_to_meet_the_target() -> None:
    found = score_report(scored(), "7", FIRST, 0.2)
    # From 0.25 on 1 of 16 is wrong, at most 18.76 %; from 0.20 on 2 of 17, at most 25.3 %.
    assert found.threshold == RiskPoint(0.25, 16, 0.8, 0.0625, 0.1876)
    assert found.command == "boxstrap policy 7 --score-threshold 0.25"
    assert "From a score of 0.25 on, 6 % of the objects were wrong" in found.sentence
    assert "80 % of all objects" in found.sentence and "abstains" in found.sentence
    assert (found.version, found.objects, found.unjudged, len(found.curve)) == (FIRST, 20, 0, 20)


def test_a_stricter_target_leaves_less() -> None:
    found = score_report(scored(), "7", FIRST, 0.1)
    assert found.threshold == RiskPoint(0.3, 15, 0.75, 0, 0.0987)


def test_no_threshold_is_good_enough() -> None:
    found = score_report(scored(), "7", FIRST, 0.01)
    assert (found.threshold, found.command) == (None, "")
    assert "No threshold brings the risk below 0.01" in found.sentence


def test_no_threshold_is_needed() -> None:
    found = score_report([row(n, an_object("accepted", score=0.5 + n / 100)) for n in range(20)], "7", FIRST, 0.2)
    assert found.threshold is not None and found.threshold.coverage == 1
    assert found.command == ""
    assert found.sentence.startswith("No threshold is needed: of all predicted objects 0 % were wrong (at most 8 %")


def test_nineteen_objects_are_too_few() -> None:
    found = score_report(scored()[:19], "7", FIRST, 0.2)
    assert (found.threshold, found.curve, found.bins, found.calibration_error) == (None, [], [], None)
    assert "judged 19 objects" in found.sentence and "20 are needed" in found.sentence


def test_the_live_version_is_looked_at_once_it_has_enough() -> None:
    older = [row(100 + n, an_object("deleted", score=0.9)) for n in range(20)]
    young = [replace(each, version=SECOND) for each in scored()]
    both = score_report([*older, *young[:19]], "7", SECOND, 0.2)
    assert (both.version, both.objects) == (None, 39)
    alone = score_report([*older, *young], "7", SECOND, 0.2)
    assert (alone.version, alone.objects) == (SECOND, 20)


def test_objects_that_cannot_be_judged_are_counted_apart() -> None:
    others = [
        row(50, an_object("accepted"), an_object("edited", None, 0.5), an_object("added")),
        row(51, outcome="skipped"),
    ]
    found = score_report([*scored(), *others], "7", FIRST, 0.2)
    assert (found.objects, found.unjudged) == (20, 2)


def test_bins_compare_mean_scores_with_what_people_left_as_it_was() -> None:
    found = score_report(scored(), "7", FIRST, 0.2)
    assert [(each.low, each.objects, each.mean_score, each.right) for each in found.bins] == [
        (0.0, 3, 0.1, 0),
        (0.2, 4, 0.275, 0.25),
        (0.4, 4, 0.475, 1),
        (0.6, 4, 0.675, 1),
        (0.8, 5, 0.9, 1),
    ]
    # gaps 0.1, 0.025, 0.525, 0.325, 0.1 by 3, 4, 4, 4, 5 objects
    assert found.calibration_error == 4.3 / 20


def test_a_score_of_one_is_in_the_last_bin_and_empty_bins_are_left_out() -> None:
    assert [(each.low, each.high, each.objects) for each in reliability([(0.0, True), (1.0, True)])] == [
        (0.0, 0.2, 1),
        (0.8, 1.0, 1),
    ]


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_the_chosen_point() -> None:
    rows = [row(n, an_object("deleted" if n < 157 else "accepted", score=n / 1000)) for n in range(1000)]
    found = score_report(rows, "7", FIRST, 0.1)
    assert MOST_POINTS <= len(found.curve) <= MOST_POINTS + 1
    assert (found.curve[0].threshold, found.curve[-1].threshold) == (0, 0.999)
    assert found.threshold in found.curve
