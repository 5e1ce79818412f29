"""Scores of images by hand-computed overlaps, and comparisons whose answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsol_core.errors import DataError
from wsol_core.evaluation.comparison import Comparison, ImageScore, compare, resampled_means, score_image
from wsol_core.records import BoxXyxy, CorrectedRegion, Region

SIZE_WH = (20, 10)


def found(box: BoxXyxy, label: str = "cat") -> Region:
    """A region whose mask fills its box."""
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    x0, y0, x1, y1 = (int(v) for v in box)
    mask[y0:y1, x0:x1] = True
    return Region(label, box, 0.5, (), mask)


def true(box: BoxXyxy, label: str = "cat", mask: Path | None = None) -> CorrectedRegion:
    return CorrectedRegion(label, box, mask)


def mask_file(folder: Path, *boxes: tuple[int, int, int, int], size_wh: tuple[int, int] = SIZE_WH) -> Path:
    pixels = np.zeros(size_wh[::-1], np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1] = 255
    path = folder / "mask.png"
    Image.fromarray(pixels).save(path)
    return path


def scores(*box_ious: float, edits: int = 1, mask: float | None = None) -> list[ImageScore]:
    return [ImageScore(iou, mask, edits) for iou in box_ious]


def test_a_box_left_as_it_is_costs_no_edit() -> None:
    assert score_image([found((0, 0, 10, 9))], [true((0, 0, 10, 10))], SIZE_WH) == ImageScore(0.9, None, 0)


def test_a_box_below_an_iou_of_80_percent_is_one_edit() -> None:
    assert score_image([found((0, 0, 10, 8))], [true((0, 0, 10, 10))], SIZE_WH) == ImageScore(0.8, None, 0)
    assert score_image([found((0, 0, 10, 5))], [true((0, 0, 10, 10))], SIZE_WH) == ImageScore(0.5, None, 1)


def test_what_is_too_much_is_deleted_and_what_is_missing_is_added() -> None:
    assert score_image([found((0, 0, 5, 5))], [], SIZE_WH) == ImageScore(0.0, None, 1)
    assert score_image([], [true((0, 0, 5, 5)), true((6, 0, 9, 5))], SIZE_WH) == ImageScore(0.0, None, 2)
    apart = score_image([found((0, 0, 5, 5))], [true((10, 0, 15, 5))], SIZE_WH)
    assert apart == ImageScore(0.0, None, 2)


def test_nothing_found_where_nothing_is_is_right() -> None:
    assert score_image([], [], SIZE_WH) == ImageScore(1.0, None, 0)


def test_a_box_of_another_class_is_no_match() -> None:
    assert score_image([found((0, 0, 5, 5), "dog")], [true((0, 0, 5, 5))], SIZE_WH) == ImageScore(0.0, None, 2)


def test_each_true_box_has_one_match_and_the_closest_pair_comes_first() -> None:
    # The first box overlaps both true ones by half, the second is the first true one exactly.
    pair = [found((0, 0, 10, 10)), found((0, 0, 5, 10))]
    score = score_image(pair, [true((0, 0, 5, 10)), true((5, 0, 10, 10))], SIZE_WH)
    assert score == ImageScore((1.0 + 0.5) / 2, None, 1)
    score = score_image([found((0, 0, 5, 10))] * 2, [true((0, 0, 5, 10))], SIZE_WH)
    assert score == ImageScore(1.0, None, 1)


def test_each_true_mask_is_compared_with_that_of_the_region_matched_to_it(tmp_path: Path) -> None:
    mask = mask_file(tmp_path, (0, 0, 4, 10), (10, 0, 14, 10))
    truth = [true((0, 0, 4, 10), mask=mask), true((10, 0, 14, 10), mask=mask)]
    score = score_image([found((0, 0, 4, 10)), found((10, 0, 12, 10))], truth, SIZE_WH)
    assert score == ImageScore(0.75, 0.75, 1)
    assert score_image([found((0, 0, 4, 10))], truth, SIZE_WH) == ImageScore(0.5, 0.5, 1)


def test_neighbours_in_one_region_are_worse_than_apart_though_their_union_is_the_same(tmp_path: Path) -> None:
    mask = mask_file(tmp_path, (0, 0, 10, 10), (10, 0, 20, 10))
    truth = [true((0, 0, 10, 10), mask=mask), true((10, 0, 20, 10), mask=mask)]
    apart = score_image([found((0, 0, 10, 10)), found((10, 0, 20, 10))], truth, SIZE_WH)
    merged = score_image([found((0, 0, 20, 10))], truth, SIZE_WH)
    assert (apart, merged) == (ImageScore(1.0, 1.0, 0), ImageScore(0.25, 0.25, 2))
    refused, taken = compare([apart] * 5, [merged] * 5), compare([merged] * 5, [apart] * 5)
    assert refused.worse == ("box_iou", "mask_iou", "edits") and taken.passed


def test_a_region_owns_the_part_of_a_shared_mask_that_lies_in_its_box(tmp_path: Path) -> None:
    mask = mask_file(tmp_path, (0, 0, 4, 10), (10, 0, 14, 10))
    truth = [true((0, 0, 5, 10), "cat", mask), true((9.5, 0, 15, 10), "dog", mask)]
    score = score_image([found((0, 0, 4, 10)), found((10, 0, 12, 10), "dog")], truth, SIZE_WH)
    assert score.mask_iou == pytest.approx((1.0 + 0.5) / 2)


def test_an_object_without_a_true_mask_has_no_part_in_the_mask_iou(tmp_path: Path) -> None:
    mask = mask_file(tmp_path, (0, 0, 4, 10))
    truth = [true((0, 0, 4, 10), mask=mask), true((10, 0, 14, 10))]
    assert score_image([found((0, 0, 2, 10))], truth, SIZE_WH).mask_iou == 0.5
    assert score_image([found((0, 0, 2, 10))], truth[1:], SIZE_WH).mask_iou is None


def test_a_mask_of_another_size_is_scaled_and_a_torn_one_left_out(tmp_path: Path) -> None:
    mask = mask_file(tmp_path, (0, 0, 8, 20), size_wh=(40, 20))
    assert score_image([found((0, 0, 4, 10))], [true((0, 0, 4, 10), mask=mask)], SIZE_WH).mask_iou == 1.0
    mask.write_bytes(b"torn")
    assert score_image([found((0, 0, 4, 10))], [true((0, 0, 4, 10), mask=mask)], SIZE_WH).mask_iou is None


def test_a_mask_that_is_empty_in_the_box_says_nothing(tmp_path: Path) -> None:
    mask = mask_file(tmp_path, (10, 0, 14, 10))
    assert score_image([found((0, 0, 4, 10))], [true((0, 0, 4, 10), mask=mask)], SIZE_WH).mask_iou is None


def test_the_same_scores_are_neither_better_nor_worse() -> None:
    same = scores(0.2, 0.9, 0.7)
    result = compare(same, same)
    assert {measure.result for measure in result.measures.values()} == {"same"}
    assert result.passed and result.images == 3
    assert result.to_dict()["box_iou"] == pytest.approx({"live": 0.6, "new": 0.6, "difference": 0, "low": 0, "high": 0})
    assert "mask_iou" not in result.measures
    assert "is not worse" in result.sentence


def test_a_gain_in_every_image_is_better_and_a_loss_worse() -> None:
    low, high = scores(0.5, 0.6, 0.4, edits=2, mask=0.5), scores(0.6, 0.8, 0.5, edits=1, mask=0.7)
    gain, loss = compare(low, high), compare(high, low)
    assert [measure.result for measure in gain.measures.values()] == ["better"] * 3
    assert [measure.result for measure in loss.measures.values()] == ["worse"] * 3
    assert gain.passed and not loss.passed
    assert gain.sentence == (
        "On 3 corrected images the new version is better: box IoU 0.633 after 0.500 (+0.133, +0.100 to +0.167), "
        "mask IoU 0.700 after 0.500 (+0.200, +0.200 to +0.200), edits an image 1.000 after 2.000 "
        "(-1.000, -1.000 to -1.000) (difference, 90 % interval)."
    )
    assert "is worse in box IoU and mask IoU and edits an image:" in loss.sentence


def test_an_uncertain_loss_speaks_against_from_the_margin_on() -> None:
    live = scores(*[0.5] * 20)
    small = compare(live, scores(*[0.9, 0.1] * 9, 0.5, 0.4))  # -0.005 in the mean
    large = compare(live, scores(*[0.9, 0.1] * 9, 0.5, 0.1))  # -0.02 in the mean
    assert small.measures["box_iou"].result == large.measures["box_iou"].result == "same"
    assert (small.worse, large.worse) == ((), ("box_iou",))
    more = [ImageScore(0.5, None, 1 + (-1) ** i) for i in range(15)] + [ImageScore(0.5, None, 2)] * 5
    edits = compare(scores(*[0.5] * 20, edits=1), more)
    assert edits.measures["edits"].difference == pytest.approx(0.3)
    assert (edits.measures["edits"].result, edits.worse) == ("same", ("edits",))


def test_where_nothing_is_sure_boxes_and_masks_count_together() -> None:
    live = [ImageScore(0.5, 0.5, 1)] * 20
    mixed = [ImageScore(0.9 if i % 2 else 0.06, 0.94 if i % 2 else 0.1, 1) for i in range(20)]
    result = compare(live, mixed)
    assert {name: measure.result for name, measure in result.measures.items()} == dict.fromkeys(result.measures, "same")
    assert result.measures["box_iou"].difference == pytest.approx(-0.02)
    assert result.measures["mask_iou"].difference == pytest.approx(0.02)
    assert result.passed and "is not worse" in result.sentence


def test_a_sure_gain_outweighs_an_uncertain_loss() -> None:
    live = [ImageScore(0.5, 0.5, 1)] * 20
    new = [ImageScore(0.6, 0.9 if i % 2 else 0.0, 1) for i in range(20)]
    result = compare(live, new)
    assert (result.measures["mask_iou"].difference, result.measures["mask_iou"].result) == (
        pytest.approx(-0.05),
        "same",
    )
    assert result.passed and "is better" in result.sentence


def test_a_sure_loss_within_the_margin_is_worse_all_the_same() -> None:
    assert compare(scores(*[0.5] * 9), scores(*[0.495] * 9)).measures["box_iou"].result == "worse"


def test_the_interval_is_that_of_the_bootstrap() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0.1, 0.5, 400)
    means = resampled_means(values, seed=0)
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)
    assert means.std() == pytest.approx(values.std() / math.sqrt(400), rel=0.1)
    result = compare(scores(*np.zeros(400)), scores(*values)).measures["box_iou"]
    half = 1.645 * values.std() / math.sqrt(400)
    assert (result.low, result.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


def test_only_images_with_true_masks_count_for_masks() -> None:
    live = [ImageScore(0.5, 0.4, 0), ImageScore(0.5, None, 0)]
    new = [ImageScore(0.5, 0.6, 0), ImageScore(0.5, None, 0)]
    assert compare(live, new).measures["mask_iou"].difference == pytest.approx(0.2)


@pytest.mark.parametrize(("live", "new"), [(0, 0), (2, 1)])
def test_what_cannot_be_paired_is_refused(live: int, new: int) -> None:
    with pytest.raises(DataError, match=f"{live} scores of the live model and {new}"):
        compare(scores(*[0.5] * live), scores(*[0.5] * new))


UNIT = st.floats(0, 1, allow_subnormal=False)
PAIRS = st.lists(
    st.tuples(
        st.builds(ImageScore, UNIT, UNIT, st.integers(0, 9)), st.builds(ImageScore, UNIT, UNIT, st.integers(0, 9))
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=30, deadline=None)
@given(PAIRS, st.integers(0, 5))
def test_to_exchange_the_models_mirrors_every_difference(pairs: list[tuple[ImageScore, ImageScore]], seed: int) -> None:
    live, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    forth, back = compare(live, new, seed), compare(new, live, seed)
    for name, measure in forth.measures.items():
        other = back.measures[name]
        assert (other.live, other.new) == (measure.new, measure.live)
        assert (other.difference, other.low, other.high) == pytest.approx(
            (-measure.difference, -measure.high, -measure.low), abs=1e-9
        )
        assert {measure.result, other.result} != {"better"}
    assert isinstance(back, Comparison)
