"""From a drawn box or a click to the object's Region, with a method whose map is the image's brightness."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tests.wsol_core.fake_method import FakeMethod
from wsol_core.config import TrainConfig
from wsol_core.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from wsol_core.errors import DataError
from wsol_core.localization.interactive import BoxPrompt, PointPrompt, localize_prompted
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import Predictor
from wsol_core.methods.base import Prediction, WsolMethod

PATCH = (40, 30, 100, 70)  # the large bright object of a 200 x 120 image
SMALL = (140, 80, 170, 100)  # the small one, less bright
WHOLE = (0, 0, 200, 120)


class Brightness(FakeMethod):
    """Class "light" is likelier where pixels are bright on average, "dark" has logit 0.4; maps are the pixels."""

    def __init__(self, blind: bool = False) -> None:
        super().__init__(2, False)
        self.blind = blind

    def forward(self, images: Tensor) -> Prediction:
        light = (images[:, :1] * IMAGENET_STD[0] + IMAGENET_MEAN[0]).clamp(0, 1)
        mean = light.mean((2, 3))
        maps = torch.cat([1 - light, light], 1)
        return Prediction(
            torch.cat([torch.full_like(mean, 0.4), 4 * mean], 1), torch.zeros_like(maps) if self.blind else maps
        )


def a_predictor(blind: bool = False, method: WsolMethod | None = None) -> Predictor:
    card = ModelCard(TrainConfig(side_px=64), ("dark", "light"), False, 0.5, "by hand", refine_edges=False)
    return Predictor(method or Brightness(blind), card, "cpu", "float32", workers=1)


class Spot(Brightness):
    """Its map is one bright spot in the upper left of the middle, whatever the image."""

    def forward(self, images: Tensor) -> Prediction:
        seen = super().forward(images)
        maps = torch.zeros_like(seen.maps)
        maps[:, :, 24:28, 20:24] = 1
        return Prediction(seen.logits, maps)


def a_image(folder: Path, **options: Any) -> Path:
    noise = np.random.default_rng(0).integers(0, 30, (120, 200, 3), dtype=np.uint8)
    for (x0, y0, x1, y1), grey in ((PATCH, 220), (SMALL, 90)):
        noise[y0:y1, x0:x1] += np.uint8(grey)
    Image.fromarray(noise).save(folder / "a.png", **options)
    return folder / "a.png"


def inside(box: tuple[int, int, int, int], shape: tuple[int, int] = (120, 200)) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("target", [PATCH, SMALL])
@pytest.mark.parametrize("blind", [False, True])
def test_a_box_around_an_object_returns_its_mask_and_a_tight_box(tmp_path: Path, target: Any, blind: bool) -> None:
    drawn = (target[0] - 5.5, target[1] - 4, target[2] + 6, target[3] + 3.2)
    found = localize_prompted(a_predictor(blind), a_image(tmp_path), BoxPrompt(drawn), "light")
    assert found is not None
    assert iou(found.mask, inside(target)) > 0.9
    assert found.box_xyxy == pytest.approx(target, abs=1)
    assert found.label == "light"
    assert 0 < found.score < 1
    assert len(found.polygon) >= 4
    (x0, y0), (x1, y1) = np.min(found.polygon, 0), np.max(found.polygon, 0)
    assert (x0, y0, x1, y1) == pytest.approx(target, abs=1.5)


def test_nothing_reaches_beyond_the_drawn_box_though_the_object_does(tmp_path: Path) -> None:
    drawn = (50.4, 20.2, 90.7, 110.0)
    found = localize_prompted(a_predictor(), a_image(tmp_path), BoxPrompt(drawn), "light")
    assert found is not None
    assert not found.mask[~inside((50, 20, 91, 110))].any()
    assert found.box_xyxy == pytest.approx((50.4, 30, 90.7, 70), abs=1)
    assert found.box_xyxy[0] >= 50.4 and found.box_xyxy[2] <= 90.7


def test_of_two_objects_in_a_box_the_larger_is_returned(tmp_path: Path) -> None:
    path = a_image(tmp_path)
    pixels = np.asarray(Image.open(path)).copy()
    pixels[80:100, 140:170] = pixels[40:60, 50:80]
    Image.fromarray(pixels).save(path)
    found = localize_prompted(a_predictor(), path, BoxPrompt((30, 20, 180, 110)), "light")
    assert found is not None
    assert iou(found.mask, inside(PATCH)) > 0.9


def test_colours_alone_find_the_object_where_the_map_shows_a_speck_of_the_box(tmp_path: Path) -> None:
    drawn = (PATCH[0] - 6, PATCH[1] - 6, PATCH[2] + 6, PATCH[3] + 6)
    found = localize_prompted(a_predictor(method=Spot()), a_image(tmp_path), BoxPrompt(drawn), "light")
    assert found is not None
    assert iou(found.mask, inside(PATCH)) > 0.9


def test_where_neither_map_nor_colours_tell_the_box_itself_is_the_mask(tmp_path: Path) -> None:
    Image.new("RGB", (200, 120), (90, 90, 90)).save(tmp_path / "grey.png")
    drawn = (20, 30, 80, 70)
    found = localize_prompted(a_predictor(blind=True), tmp_path / "grey.png", BoxPrompt(drawn), "light")
    assert found is not None
    assert found.box_xyxy == drawn
    assert np.array_equal(found.mask, inside(drawn))


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize(
    "drawn",
    [
        WHOLE,
        (60.2, 50.3, 60.4, 50.9),
        (60.0, 50.0, 61.0, 51.0),
        (60.0, 50.0, 63.0, 53.0),
        (0.0, 55.5, 200.0, 55.9),
        (199.5, 119.5, 300.0, 300.0),
        (-50.0, -50.0, 0.5, 400.0),
        (140.0, 5.0, 190.0, 25.0),
    ],
)
def test_every_drawn_box_with_a_pixel_in_it_returns_a_region_inside_it(
    tmp_path: Path, drawn: tuple[float, float, float, float], blind: bool
) -> None:
    found = localize_prompted(a_predictor(blind), a_image(tmp_path), BoxPrompt(drawn), None)
    assert found is not None
    assert found.mask.any()
    x0, y0, x1, y1 = found.box_xyxy
    assert max(drawn[0], 0) <= x0 < x1 <= min(drawn[2], 200)
    assert max(drawn[1], 0) <= y0 < y1 <= min(drawn[3], 120)
    assert len(found.polygon) >= 3


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 3)])
def test_a_box_in_a_tiny_image_returns_a_region(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.effect_noise(size, 80).convert("RGB").save(tmp_path / "tiny.png")
    found = localize_prompted(a_predictor(), tmp_path / "tiny.png", BoxPrompt((0, 0, *size)), "light")
    assert found is not None
    assert found.mask.shape == size[::-1] and found.mask.any()


@pytest.mark.parametrize(
    "drawn", [(50, 50, 50, 60), (90, 50, 60, 80), (200, 0, 250, 50), (-50, 0, 0, 50), (0, 0, math.nan, 9)]
)
def test_a_box_without_a_pixel_of_the_image_is_refused(tmp_path: Path, drawn: Any) -> None:
    with pytest.raises(DataError, match=r"Box .* a\.png"):
        localize_prompted(a_predictor(), a_image(tmp_path), BoxPrompt(drawn), "light")


@pytest.mark.parametrize("point", [(200, 50), (-0.1, 50), (50, 120), (50, math.nan)])
def test_a_point_outside_the_image_is_refused(tmp_path: Path, point: tuple[float, float]) -> None:
    with pytest.raises(DataError, match=r"Point .* is not in a\.png, which is 200 x 120"):
        localize_prompted(a_predictor(), a_image(tmp_path), PointPrompt(*point), "light")


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png is not there"):
        localize_prompted(a_predictor(), tmp_path / "gone.png", PointPrompt(1, 1), None)


def test_a_point_on_an_object_returns_that_object(tmp_path: Path) -> None:
    found = localize_prompted(a_predictor(), a_image(tmp_path), PointPrompt(45.5, 35.2), "light")
    assert found is not None
    assert iou(found.mask, inside(PATCH)) > 0.9
    assert found.box_xyxy == pytest.approx(PATCH, abs=1)
    assert found.mask[35, 45]


def test_a_point_on_an_object_that_another_outshines_is_found_in_a_crop_around_it(tmp_path: Path) -> None:
    found = localize_prompted(a_predictor(), a_image(tmp_path), PointPrompt(160, 90), "light")
    assert found is not None
    assert iou(found.mask, inside(SMALL)) > 0.9


def test_a_point_on_nothing_returns_none(tmp_path: Path) -> None:
    assert localize_prompted(a_predictor(), a_image(tmp_path), PointPrompt(70, 25), "light") is None
    assert localize_prompted(a_predictor(blind=True), a_image(tmp_path), PointPrompt(70, 50), "light") is None


def test_without_a_label_the_most_probable_class_of_the_crop_or_image_is_localized(tmp_path: Path) -> None:
    path, predictor = a_image(tmp_path), a_predictor()
    bright = localize_prompted(predictor, path, BoxPrompt((35, 25, 105, 75)), None)
    empty = localize_prompted(predictor, path, BoxPrompt((150, 5, 195, 40)), None)
    clicked = localize_prompted(predictor, path, PointPrompt(70, 50), None)
    assert bright is not None and empty is not None and clicked is not None
    assert (bright.label, empty.label, clicked.label) == ("light", "dark", "light")


def test_a_clicked_object_gets_the_margin_that_people_leave_and_a_drawn_box_none(tmp_path: Path) -> None:
    path, loose = a_image(tmp_path), a_predictor()
    loose.card = replace(loose.card, box_margin=0.1)
    tight, clicked = (localize_prompted(each, path, PointPrompt(70, 50), "light") for each in (a_predictor(), loose))
    assert tight is not None
    assert clicked is not None
    x0, y0, x1, y1 = tight.box_xyxy
    across, down = 0.1 * (x1 - x0), 0.1 * (y1 - y0)
    assert clicked.box_xyxy == pytest.approx((x0 - across, y0 - down, x1 + across, y1 + down))
    drawn = [localize_prompted(each, path, BoxPrompt((35, 25, 105, 75)), "light") for each in (a_predictor(), loose)]
    assert len({each.box_xyxy for each in drawn if each is not None}) == 1


@pytest.mark.parametrize("prompt", [BoxPrompt((35, 25, 105, 75)), PointPrompt(70, 50)])
def test_a_label_that_the_model_does_not_know_is_kept_on_the_most_probable_class(
    tmp_path: Path, prompt: BoxPrompt | PointPrompt
) -> None:
    path, predictor = a_image(tmp_path), a_predictor()
    unknown, known = (localize_prompted(predictor, path, prompt, label) for label in ("zebra", "light"))
    assert unknown is not None and known is not None
    assert unknown.label == "zebra"
    assert np.array_equal(unknown.mask, known.mask)
    assert unknown.score == known.score


def test_prompts_are_pixels_of_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise: (x, y) of the file is (120 - y, x) upright
    path, upright = a_image(tmp_path, exif=exif), (50, 40, 90, 100)
    boxed = localize_prompted(a_predictor(), path, BoxPrompt((44, 36, 95, 106)), "light")
    clicked = localize_prompted(a_predictor(), path, PointPrompt(70, 95), "light")
    assert boxed is not None and clicked is not None
    for found in (boxed, clicked):
        assert found.mask.shape == (200, 120)
        assert found.box_xyxy == pytest.approx(upright, abs=1)


@pytest.mark.parametrize("blind", [False, True])
def test_the_same_prompt_has_the_same_answer_whatever_was_asked_before(tmp_path: Path, blind: bool) -> None:
    path, predictor, prompt = a_image(tmp_path), a_predictor(blind), BoxPrompt((30, 20, 112, 80))
    first = localize_prompted(predictor, path, prompt, "light")
    localize_prompted(predictor, path, BoxPrompt((130, 70, 180, 110)), "dark")
    again = localize_prompted(predictor, path, prompt, "light")
    assert first is not None and again is not None
    assert np.array_equal(first.mask, again.mask)
    assert (first.box_xyxy, first.score, first.polygon) == (again.box_xyxy, again.score, again.polygon)
