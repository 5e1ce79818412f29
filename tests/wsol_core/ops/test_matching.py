"""One-to-one matching on tables and boxes whose pairs are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from wsol_core.ops.matching import Match, match, match_boxes, match_regions
from wsol_core.records import BoxXyxy, CorrectedRegion, Region

IOUS = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6),
    elements=st.sampled_from([0, 0.25, 0.5, 1]),
)


def found(label: str, box: BoxXyxy) -> Region:
    return Region(label, box, 0.5, (), np.zeros((1, 1), np.bool_))


def test_the_closest_pair_comes_first_even_where_another_one_loses_its_match() -> None:
    assert match(np.array([[0.8, 0.6], [0.9, 0.7]])) == [Match(1, 0, 0.9), Match(0, 1, 0.6)]


@pytest.mark.parametrize(("least", "pairs"), [(0.8, 1), (0.5, 2), (0.0, 2)])
def test_pairs_below_the_least_iou_are_none(least: float, pairs: int) -> None:
    assert len(match(np.array([[0.8, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.0]]), least)) == pairs


def test_of_equal_pairs_the_first_is_taken() -> None:
    assert match(np.full((2, 2), 0.5)) == [Match(0, 0, 0.5), Match(1, 1, 0.5)]


def test_the_table_stays_as_it_is() -> None:
    table = np.ones((2, 2))
    match(table)
    assert table.min() == 1


@pytest.mark.slow
@given(IOUS, st.sampled_from([0.0, 0.25, 0.5]))
def test_each_is_matched_once_and_no_pair_that_could_be_made_is_left(table: np.ndarray, least: float) -> None:
    pairs = match(table, least)
    rows, columns = {pair.found for pair in pairs}, {pair.true for pair in pairs}
    assert len(rows) == len(columns) == len(pairs)
    assert [pair.iou for pair in pairs] == sorted((pair.iou for pair in pairs), reverse=True)
    assert all(pair.iou == table[pair.found, pair.true] for pair in pairs)
    left = np.delete(np.delete(table, list(rows), 0), list(columns), 1)
    assert not ((left >= least) & (left > 0)).any()


def test_boxes_end_before_their_far_corner() -> None:
    assert match_boxes([(0, 0, 10, 5)], [(10, 0, 20, 5), (0, 0, 10, 10)]) == [Match(0, 1, 0.5)]
    assert match_boxes([], [(0, 0, 1, 1)]) == match_boxes([(0, 0, 1, 1)], []) == match_boxes([], []) == []


def test_regions_are_matched_within_their_class() -> None:
    box, near = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 8.0)
    truth = [CorrectedRegion("dog", box), CorrectedRegion("cat", box)]
    assert match_regions([found("cat", near), found("cow", box)], truth) == [Match(0, 1, 0.8)]
    assert match_regions([], truth) == match_regions([found("cat", box)], []) == []
