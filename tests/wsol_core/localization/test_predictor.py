"""From image files to Localizations, with a method whose map is the image's brightness, so that all is known."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.wsol_core.fake_method import FakeMethod
from wsol_core.config import TrainConfig
from wsol_core.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from wsol_core.errors import ConfigError, DataError
from wsol_core.localization.closer_regions import looks_of
from wsol_core.localization.inference import BatchOutput
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import save_model
from wsol_core.localization.predictor import ImageMaps, Predictor, own_labels
from wsol_core.methods.base import Prediction, WsolMethod
from wsol_core.methods.build import build_method
from wsol_core.records import Localization, Sample, Unreadable

BOX = (32, 16, 96, 48)  # of the white patch; a quarter of a 128 x 64 image


class Brightness(FakeMethod):
    """Class "light" is as likely as the image is bright (logit 4 mean), "dark" has logit 0; maps are the pixels."""

    def __init__(self, multi_label: bool = False, shared: bool = False, left_only: bool = False) -> None:
        super().__init__(2, multi_label)
        self.shared, self.left_only = shared, left_only
        self.sides: list[int] = []

    def forward(self, images: Tensor) -> Prediction:
        self.sides.append(images.shape[3])
        light = (images[:, :1] * IMAGENET_STD[0] + IMAGENET_MEAN[0]).clamp(0, 1)
        if self.left_only:
            light = light * (torch.arange(light.shape[3]) < light.shape[3] // 2)
        mean = light.mean((2, 3))
        maps = light if self.shared else torch.cat([1 - light, light], 1)
        return Prediction(torch.cat([torch.zeros_like(mean), 4 * mean], 1), maps)


def a_predictor(method: WsolMethod | None = None, **card: Any) -> Predictor:
    method = method or Brightness()
    values = {"threshold": 0.5, "threshold_rule": "by hand", "refine_edges": False, "multi_label": method.multi_label}
    made = ModelCard(TrainConfig(side_px=64), ("dark", "light"), **{**values, **card})
    return Predictor(method, made, "cpu", "float32", workers=2)


def a_sample(folder: Path, name: str = "a.png", labels: tuple[str, ...] = ("light",), **options: Any) -> Sample:
    image = Image.new("L", (128, 64))
    image.paste(255, BOX)
    image.save(folder / name, **options)
    return Sample(name, folder / name, labels)


def only(results: Iterator[Localization | Unreadable]) -> Localization:
    (found,) = results
    assert isinstance(found, Localization)
    return found


def test_box_mask_scores_and_region_score_are_those_of_the_image(tmp_path: Path) -> None:
    found = only(a_predictor().localize([a_sample(tmp_path)]))
    light = 1 / (1 + math.exp(-1))  # a quarter of the image is white: logits 0 and 1
    assert (found.file, found.size_wh, found.label, found.maps) == ("a.png", (128, 64), "light", {})
    assert found.scores == pytest.approx({"dark": 1 - light, "light": light}, abs=1e-3)
    (region,) = found.regions
    assert region.label == "light"
    assert region.box_xyxy == pytest.approx(BOX, abs=1)
    truth = np.zeros((64, 128), bool)
    truth[16:48, 32:96] = True
    assert (region.mask & truth).sum() / (region.mask | truth).sum() > 0.95


def test_a_regions_score_is_the_contrast_of_its_map_times_the_classs_probability(tmp_path: Path) -> None:
    found = only(a_predictor().localize([a_sample(tmp_path)], with_maps=True))
    patch = np.zeros((224, 224), bool)
    patch[56:168, 56:168] = True
    light = found.maps["light"]
    contrast = float(light[patch].mean() - light[~patch].mean())
    assert contrast > 0.7  # the bicubic enlargement swings out at the patch's corners, which min-max then counts as 1
    assert found.regions[0].score == pytest.approx(contrast * found.scores["light"], abs=0.01)


def test_regions_are_the_same_where_a_gpu_cuts_all_maps_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [a_sample(tmp_path, f"{i}.png") for i in range(3)]
    samples[1].path.write_bytes(b"torn")
    predictor = a_predictor(refine_edges=True)
    expected = list(predictor.localize(samples))
    monkeypatch.setattr(BatchOutput, "on_gpu", True)
    found = list(predictor.localize(samples))
    assert [result.file for result in found] == [result.file for result in expected]
    for ours, theirs in zip((found[0], found[2]), (expected[0], expected[2]), strict=True):
        assert isinstance(ours, Localization) and isinstance(theirs, Localization)
        assert [region.box_xyxy for region in ours.regions] == [region.box_xyxy for region in theirs.regions]


def test_images_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    found = only(a_predictor().localize([a_sample(tmp_path, exif=exif)]))
    assert found.size_wh == (64, 128)
    assert found.regions[0].box_xyxy == pytest.approx((16, 32, 48, 96), abs=1)
    assert found.regions[0].mask.shape == (128, 64)


def test_results_keep_the_order_and_an_unreadable_image_does_not_stop_the_rest(tmp_path: Path) -> None:
    samples = [a_sample(tmp_path, f"{i}.png") for i in range(7)]
    samples[2].path.write_bytes(b"torn")
    samples[6].path.unlink()
    found = list(a_predictor().localize(samples, batch_size=3))
    assert [result.file for result in found] == [f"{i}.png" for i in range(7)]
    assert [type(result) for result in found] == [*[Localization] * 2, Unreadable, *[Localization] * 3, Unreadable]
    assert isinstance(found[2], Unreadable)
    assert found[2].reason.startswith("2.png cannot be read as an image")


def test_nothing_but_unreadable_images_is_no_error(tmp_path: Path) -> None:
    found = list(a_predictor().localize([Sample("x.png", tmp_path / "x.png", ())]))
    assert [type(result) for result in found] == [Unreadable]
    assert list(a_predictor().localize([])) == []


def test_own_labels_are_localized_whatever_the_model_thinks(tmp_path: Path) -> None:
    sample = a_sample(tmp_path, labels=("dark", "light"))
    found = only(a_predictor().localize([sample], own_labels, with_maps=True))
    assert {region.label for region in found.regions} == {"dark", "light"}
    assert list(found.maps) == ["dark", "light"]
    dark, light = found.maps["dark"], found.maps["light"]
    assert light.shape == (224, 224)
    assert light.dtype == np.float32
    assert (light.min(), light.max(), dark.min(), dark.max()) == (0, 1, 0, 1)
    assert np.allclose(dark, 1 - light, atol=1e-5)
    assert light[112, 112] > 0.8 and light[5, 5] < 0.2


def test_an_image_asked_for_no_class_has_scores_only(tmp_path: Path) -> None:
    found = only(a_predictor().localize([a_sample(tmp_path, labels=())], own_labels, with_maps=True))
    assert (found.regions, found.maps, len(found.scores)) == ((), {}, 2)


def test_a_class_that_the_model_does_not_know_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: the model does not know the class 'cat'; it knows dark, light\."):
        list(a_predictor().localize([a_sample(tmp_path, labels=("cat",))], own_labels))


def test_a_multi_label_model_localizes_every_class_that_is_likely(tmp_path: Path) -> None:
    found = only(a_predictor(Brightness(multi_label=True)).localize([a_sample(tmp_path)]))
    assert found.scores == pytest.approx({"dark": 0.5, "light": 1 / (1 + math.exp(-1))}, abs=1e-3)
    assert {region.label for region in found.regions} == {"dark", "light"}


def test_one_map_may_serve_every_class(tmp_path: Path) -> None:
    sample = a_sample(tmp_path, labels=("dark", "light"))
    maps = only(a_predictor(Brightness(shared=True)).localize([sample], own_labels, with_maps=True)).maps
    assert (maps["dark"] == maps["light"]).all()


def test_thresholds_and_calibration_are_the_models_own(tmp_path: Path) -> None:
    sample = a_sample(tmp_path)
    strict = only(a_predictor(class_thresholds={"light": 1.0}).localize([sample]))
    assert strict.regions == ()
    sure = only(a_predictor(score_scale=0.0, score_shift=2.0).localize([sample])).regions[0]
    assert (sure.score, sure.keep) == (pytest.approx(1 / (1 + math.exp(-2))), None)
    known = only(a_predictor(score_scale=0.0, score_shift=0.0, keep_scale=0.0, keep_shift=2.0).localize([sample]))
    assert (known.regions[0].score, known.regions[0].keep) == pytest.approx((0.5, 1 / (1 + math.exp(-2))))


def test_nobody_accepts_what_nobody_keeps(tmp_path: Path) -> None:
    predictor = a_predictor(score_scale=0.0, score_shift=1.0, keep_scale=0.0, keep_shift=-1.0)
    region = only(predictor.localize([a_sample(tmp_path)])).regions[0]
    assert region.keep == region.score


def test_activation_maps_are_those_that_regions_are_cut_from(tmp_path: Path) -> None:
    samples = [a_sample(tmp_path, labels=("dark", "light")), Sample("x.png", tmp_path / "x.png", ())]
    predictor = a_predictor(refine_edges=True)
    maps, unreadable = predictor.activation_maps(samples, own_labels)
    localized = only(iter(list(predictor.localize(samples, own_labels, with_maps=True))[:1]))
    assert isinstance(unreadable, Unreadable)
    assert isinstance(maps, ImageMaps)
    assert (maps.sample, maps.size_wh, maps.scores) == (samples[0], (128, 64), localized.scores)
    assert maps.pixels.shape == (224, 224, 3)
    assert maps.maps.keys() == localized.maps.keys()
    assert all(np.array_equal(maps.maps[label], localized.maps[label]) for label in maps.maps)


def test_refined_maps_keep_range_and_place(tmp_path: Path) -> None:
    found = only(a_predictor(refine_edges=True).localize([a_sample(tmp_path)], with_maps=True))
    refined = found.maps["light"]
    assert (refined.min(), refined.max()) == (0, 1)
    assert found.regions[0].box_xyxy == pytest.approx(BOX, abs=2)


def test_flipping_averages_over_both_sides(tmp_path: Path) -> None:
    method = Brightness(left_only=True)
    one_side, both = (
        only(a_predictor(method).localize([a_sample(tmp_path)], with_maps=True, flip=flip)) for flip in (False, True)
    )
    assert one_side.maps["light"][112, 150] < 0.2
    assert np.allclose(both.maps["light"], both.maps["light"][:, ::-1], atol=1e-3)
    assert both.regions[0].box_xyxy == pytest.approx(BOX, abs=1)


def test_scales_are_sides_that_the_network_can_take(tmp_path: Path) -> None:
    method = Brightness()
    found = only(a_predictor(method).localize([a_sample(tmp_path)], scales=(1.0, 1.4, 0.1)))
    assert method.sides == [64, 96, 32]
    assert found.regions[0].box_xyxy == pytest.approx(BOX, abs=2)


def test_samples_are_taken_as_results_are_and_closing_ends_the_threads(tmp_path: Path) -> None:
    taken = []

    def samples() -> Iterator[Sample]:
        for i in range(100):
            taken.append(i)
            yield a_sample(tmp_path, f"{i}.png")

    results = a_predictor().localize(samples(), batch_size=4)
    assert [result.file for result in islice(results, 3)] == ["0.png", "1.png", "2.png"]
    assert len(taken) <= 3 * 4
    results.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("localize") for thread in threading.enumerate())


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"scales": ()}, {"scales": (1.0, 0.0)}])
def test_settings_without_meaning_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="have to be positive"):
        a_predictor().localize([], **wrong)


def test_a_model_folder_predicts_as_the_method_that_was_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    method = build_method("cam", "tiny", 2, False)
    card = ModelCard(TrainConfig(method="cam", backbone="tiny", side_px=64), ("dark", "light"), False, 0.5, "by hand")
    save_model(tmp_path / "model", method, card)
    sample = a_sample(tmp_path)
    opened, direct = (
        only(predictor.localize([sample], with_maps=True))
        for predictor in (
            Predictor.open(tmp_path / "model", "cpu", "float32"),
            Predictor(method, card, "cpu", "float32"),
        )
    )
    assert opened.scores == direct.scores
    assert (opened.maps[opened.label] == direct.maps[direct.label]).all()


SMALL_BOX = (303, 221, 317, 236)


def a_large_sample(folder: Path) -> Sample:
    """Light in the middle of a large grey image, which a first look at 64 px sees as a blur."""
    image = Image.new("L", (640, 480), 100)
    image.paste(255, SMALL_BOX)
    image.save(folder / "large.png")
    return Sample("large.png", folder / "large.png", ("light",))


def test_closer_looks_give_small_objects_their_boxes(tmp_path: Path) -> None:
    sample = a_large_sample(tmp_path)
    (first,), (closer,) = (a_predictor(looks_closer=looks).localize([sample]) for looks in (False, True))
    assert isinstance(first, Localization) and isinstance(closer, Localization)
    assert len(first.regions) == len(closer.regions) == 1 and closer.size_wh == (640, 480)
    errors = [np.abs(np.subtract(found.regions[0].box_xyxy, SMALL_BOX)).max() for found in (first, closer)]
    assert errors[1] <= 2 < errors[0]
    assert closer.regions[0].score == first.regions[0].score
    assert closer.regions[0].mask.shape == (480, 640)


def test_an_image_that_has_no_more_to_show_is_not_looked_at_again(tmp_path: Path) -> None:
    sample, method = a_sample(tmp_path), Brightness()
    (found,) = a_predictor(method, looks_closer=True).localize([sample])
    assert isinstance(found, Localization) and len(method.sides) == 1


def test_looks_of_a_project_are_told_one_by_one(tmp_path: Path) -> None:
    samples = [a_large_sample(tmp_path), a_sample(tmp_path)]
    ((pixels, looks),) = looks_of(a_predictor(looks_closer=True), samples)
    assert pixels.shape == (480, 640, 3) and len(looks) > 1
