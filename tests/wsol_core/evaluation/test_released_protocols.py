"""The protocols of BAS's and ORNet's releases, by values worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.wsol_core.evaluation.bright_objects import NAMES, BrightIsObject, predictor, white_square
from wsol_core.errors import DataError
from wsol_core.evaluation.released_protocols import (
    ORNET_THRESHOLDS,
    PROTOCOLS,
    ReleasedReport,
    bas_box,
    evaluate_released,
    ornet_box,
)
from wsol_core.evaluation.ten_crop import resized, ten_crop_scores, ten_crops
from wsol_core.localization.predictor import Predictor
from wsol_core.methods.base import Prediction
from wsol_core.records import CorrectedRegion, Sample


def cells(side: int, *blocks: tuple[int, int, int, int, float]) -> np.ndarray:
    """A map of zeros with blocks (x0, y0, x1, y1, value)."""
    score_map = np.zeros((side, side), np.float32)
    for x0, y0, x1, y1, value in blocks:
        score_map[y0:y1, x0:x1] = value
    return score_map


def test_bas_boxes_the_largest_component_of_the_stretched_map() -> None:
    score_map = 0.2 + 0.4 * cells(56, (4, 8, 20, 28, 1.0), (40, 40, 44, 44, 1.0))
    assert bas_box(score_map, 0.5, 56) == (4, 8, 20, 28)
    assert bas_box(score_map[::2, ::2].copy(), 0.5, 56) == pytest.approx((4, 8, 20, 28), abs=1)
    assert bas_box(np.full((28, 28), 0.4, np.float32), 0.5, 224) == (0, 0, 224, 224)


def test_ornet_boxes_all_cells_of_the_raw_map_by_their_first_corners() -> None:
    score_map = cells(56, (5, 10, 20, 30, 0.7), (40, 8, 41, 9, 0.3))
    assert ornet_box(score_map, 0.5, 224) == (20, 40, 76, 116)
    assert ornet_box(score_map, 0.2, 224) == (20, 32, 160, 116)
    assert ornet_box(score_map, 0.8, 224) == (0, 0, 224, 224)


def measured(
    protocol: str, sample: Sample, score_map: np.ndarray, side: int = 224, threshold: float | None = None
) -> ReleasedReport:
    """One image whose map is given."""

    class Drawn(BrightIsObject):
        def forward(self, images: Tensor) -> Prediction:
            assert images.shape == (1, 3, side, side)
            return Prediction(torch.tensor([[2.0, -2.0]]), torch.from_numpy(score_map)[None, None])

    card = predictor().card
    drawn = Predictor(Drawn(2, False), replace(card, config=replace(card.config, side_px=side)), "cpu", "float32")
    return evaluate_released(drawn, [sample], protocol, threshold)


def wide_image(folder: Path, box: tuple[float, float, float, float]) -> Sample:
    """512 pixels wide and 256 high."""
    assert cv2.imwrite(str(folder / "wide.png"), np.zeros((256, 512, 3), np.uint8))
    return Sample("wide.png", folder / "wide.png", (NAMES[0],), truth=(CorrectedRegion(NAMES[0], box),))


def test_bas_clips_true_boxes_to_the_crop_and_counts_both_corners(tmp_path: Path) -> None:
    sample = wide_image(tmp_path, (100, 50, 400, 250))  # 34, 34, 184 and 223 in the crop of 256 x 256
    report = measured("bas", sample, cells(224, (34, 34, 184, 223, 1.0)), threshold=0.5)
    assert report.images[0].iou == 1
    report = measured("bas", sample, cells(224, (34, 34, 184, 128, 1.0)), threshold=0.5)
    assert report.images[0].iou == pytest.approx(95 / 190)
    assert report.metrics["gt_known_loc"] == 1  # .5 is enough


def test_ornet_clips_nothing_and_wants_more_than_half(tmp_path: Path) -> None:
    sample = wide_image(tmp_path, (100, 50, 400, 250))  # 34, 34, 184 and 234 of the crop
    report = measured("ornet", sample, cells(224, (34, 34, 185, 135, 1.0)), threshold=0.5)
    assert report.images[0].iou == pytest.approx(100 / 200)
    assert report.metrics["gt_known_loc"] == 0
    report = measured("ornet", sample, cells(224, (34, 34, 185, 136, 1.0)), threshold=0.5)
    assert report.metrics["gt_known_loc"] == 1


def test_ornet_reports_the_best_of_a_sweep_over_the_measured_images(tmp_path: Path) -> None:
    sample = wide_image(tmp_path, (100, 50, 300, 200))
    score_map = cells(224, (0, 0, 224, 224, 0.32), (34, 34, 135, 185, 0.62))
    report = measured("ornet", sample, score_map)
    assert (report.threshold, report.threshold_rule) == (0.35, "the best on these images")
    assert report.images[0].iou == 1
    assert ORNET_THRESHOLDS[0] == 0.05 and ORNET_THRESHOLDS[-1] == 0.95 and len(ORNET_THRESHOLDS) == 19


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_bright_square_is_found_in_the_crop_and_a_wrong_class_costs_top1(protocol: str, tmp_path: Path) -> None:
    samples = [white_square(tmp_path, "a", NAMES[0]), white_square(tmp_path, "b", NAMES[1])]
    seen: list[str] = []
    report = evaluate_released(
        predictor(), samples, protocol, threshold=0.5, on_image=lambda sample: seen.append(sample.file)
    )
    assert report.metrics["pictures"] == 2 and seen == ["a.png", "b.png"]
    assert report.metrics["gt_known_loc"] == 1
    assert report.metrics["top1_loc"] == report.metrics["top1_accuracy"] == 0.5
    assert report.metrics["top5_loc"] == 1
    assert report.threshold_rule == "given"
    assert set(report.to_dict()) == {"metrics", "pictures", "skipped", "threshold", "threshold_rule", "protocol"}


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"torn")
    torn = replace(white_square(tmp_path, "a", NAMES[0]), file="torn.png", path=tmp_path / "torn.png")
    bare = Sample("bare.png", tmp_path / "a.png", (NAMES[0],))
    report = evaluate_released(predictor(), [white_square(tmp_path, "a", NAMES[0]), torn, bare], "bas")
    assert report.metrics["pictures"] == 1 and len(report.skipped) == 2
    with pytest.raises(DataError, match="true box"):
        evaluate_released(predictor(), [bare], "bas")
    with pytest.raises(DataError, match=r"torn\.png"):
        evaluate_released(predictor(), [torn], "ornet")


def test_ten_crops_are_torchvisions() -> None:
    import torchvision.transforms.functional as transforms

    pixels = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    expected = transforms.ten_crop(torch.from_numpy(pixels).permute(2, 0, 1), 224)
    found = {crop.tobytes() for crop in ten_crops(pixels, 224)}
    assert found == {crop.permute(1, 2, 0).contiguous().numpy().tobytes() for crop in expected}


def test_ten_crop_scores_are_the_mean_of_the_crops_probabilities(tmp_path: Path) -> None:
    class MiddleTells(BrightIsObject):
        def class_scores(self, images: Tensor) -> Tensor:
            assert len(images) == 10
            return torch.stack([images[:, 0, 32, 32], -images[:, 0, 32, 32]], 1)

    known = predictor()
    image = resized(white_square(tmp_path, "a", NAMES[0]), 64)
    assert isinstance(image, tuple) and image[0].shape == (73, 73, 3) and image[1] == (64, 64)
    scores = ten_crop_scores(Predictor(MiddleTells(2, False), known.card, "cpu", "float32"), image[0])
    middles = [crop[32, 32, 0] for crop in ten_crops(image[0], 64)]
    values = [(value / 255 - 0.485) / 0.229 for value in middles]
    assert scores[NAMES[0]] == pytest.approx(np.mean([1 / (1 + np.exp(-2 * value)) for value in values]), abs=1e-5)
