"""Average precision: hand-computed values, which masks count, and memory."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wsol_core.evaluation.boxes_and_masks import SIZE_WH, found, true
from wsol_core.errors import ConfigError
from wsol_core.evaluation.average_precision import AveragePrecision, PrecisionOfBoxesAndMasks
from wsol_core.evaluation.instances import InstanceTally
from wsol_core.records import BoxXyxy, CorrectedRegion, Region

LEFT, RIGHT = (0, 0, 40, 40), (60, 40, 100, 80)


def measured(predicted: list[Region], truth: list[CorrectedRegion], label: str = "cat") -> PrecisionOfBoxesAndMasks:
    precision = AveragePrecision()
    precision.add(predicted, truth, SIZE_WH)
    return precision.by_class()[label]


def masked(folder: Path, box: BoxXyxy, shown: BoxXyxy, name: str = "mask") -> CorrectedRegion:
    """An object whose mask file shows `shown`."""
    Image.fromarray(found("", shown).mask.astype(np.uint8) * 255).save(folder / f"{name}.png")
    return CorrectedRegion("cat", box, folder / f"{name}.png")


def test_a_double_between_two_hits_costs_what_coco_says() -> None:
    predicted = [found("cat", LEFT, 0.9), found("cat", LEFT, 0.8), found("cat", RIGHT, 0.7)]
    # Precision is 1 at the 51 recall levels up to .5 and 2/3 at the other 50.
    assert measured(predicted, [true("cat", LEFT), true("cat", RIGHT)]).ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_ap_is_the_mean_over_iou_levels() -> None:
    # IoU .7 is enough for 5 of the 10 levels.
    result = measured([found("cat", (0, 0, 40, 28.2))], [true("cat", LEFT)])
    assert result == PrecisionOfBoxesAndMasks(pytest.approx(1), pytest.approx(0.5), None, None)


def test_predictions_of_other_images_and_classes_count_against_their_class_alone() -> None:
    precision = AveragePrecision()
    precision.add([found("dog", LEFT, 0.9), found("cat", LEFT, 0.4)], [true("cat", LEFT)], SIZE_WH)
    precision.add([found("dog", LEFT, 0.5)], [true("dog", LEFT)], SIZE_WH)
    by_class = precision.by_class()
    assert by_class["cat"].ap50 == pytest.approx(1) and by_class["dog"].ap50 == pytest.approx(0.5)


def test_a_class_without_true_objects_has_no_precision() -> None:
    precision = AveragePrecision()
    precision.add([found("cow", LEFT)], [true("cat", LEFT)], SIZE_WH)
    assert list(precision.by_class()) == ["cat"]


def test_nothing_found_is_zero() -> None:
    assert measured([], [true("cat", LEFT)]).ap == 0


def test_masks_have_a_precision_of_their_own(tmp_path: Path) -> None:
    half = measured([found("cat", LEFT)], [masked(tmp_path, LEFT, (0, 0, 40, 24))])
    assert (half.ap, half.mask_ap50, half.mask_ap) == pytest.approx((1, 1, 0.3))  # a mask IoU of .6


def test_regions_share_a_mask_file_where_their_boxes_are_apart(tmp_path: Path) -> None:
    Image.fromarray((found("", LEFT).mask | found("", RIGHT).mask).astype(np.uint8)).save(tmp_path / "both.png")
    apart = [CorrectedRegion("cat", box, tmp_path / "both.png") for box in (LEFT, RIGHT)]
    assert measured([found("cat", LEFT), found("cat", RIGHT)], apart).mask_ap == pytest.approx(1)
    touching = [CorrectedRegion("cat", box, tmp_path / "both.png") for box in (LEFT, (39, 0, 60, 40))]
    assert measured([found("cat", LEFT)], touching).mask_ap is None


@pytest.mark.parametrize("order", [1, -1])
def test_one_true_object_without_a_mask_leaves_masks_out(tmp_path: Path, order: int) -> None:
    precision = AveragePrecision()
    for truth in [masked(tmp_path, LEFT, LEFT), true("cat", LEFT)][::order]:
        precision.add([found("cat", LEFT)], [truth], SIZE_WH)
    assert precision.by_class()["cat"] == PrecisionOfBoxesAndMasks(pytest.approx(1), pytest.approx(1), None, None)


def test_a_mask_that_is_empty_in_its_box_is_none(tmp_path: Path) -> None:
    assert measured([found("cat", LEFT)], [masked(tmp_path, LEFT, RIGHT)]).mask_ap is None


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    measured([found("cat", LEFT)], [true("cat", LEFT)])
    assert capsys.readouterr() == ("", "")


def test_masks_are_not_kept_as_pixels(tmp_path: Path) -> None:
    truth = masked(tmp_path, LEFT, LEFT)
    precision = AveragePrecision()
    precision.add([found("cat", LEFT)], [truth], SIZE_WH)
    tracemalloc.start()
    for _ in range(30):
        precision.add([found("cat", LEFT)], [truth], SIZE_WH)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / 60 < SIZE_WH[0] * SIZE_WH[1] / 4  # bytes an object; a mask has a byte a pixel


def test_without_pycocotools_the_other_figures_stand_and_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(ConfigError, match="pycocotools"):
        AveragePrecision()
    tally = InstanceTally()
    tally.add("1.jpg", [found("cat", LEFT)], [true("cat", LEFT)], SIZE_WH)
    report = tally.report()
    assert report.overall["corloc"] == 1 and report.overall["ap50"] is report.per_class["cat"]["mask_ap"] is None
    assert "pycocotools" in tally.not_measured[0]
