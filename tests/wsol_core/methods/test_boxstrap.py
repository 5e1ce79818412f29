"""Boxstrap's method: which parts learn in which stage, and that odd projects (one class, several labels) train."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.wsol_core.methods.method_batches import SIDE, moved_parameters, noise_batch
from wsol_core.methods.boxstrap import Boxstrap
from wsol_core.networks.backbones import build_backbone
from wsol_core.records import MASK_REGION


def method(classes: int = 3, multi_label: bool = False, pretrained: bool = False) -> Boxstrap:
    torch.manual_seed(0)
    return Boxstrap(build_backbone("tiny", (4, 8, 16, 16)), classes, multi_label, pretrained)


def moved_parts(trained: Boxstrap, terms: dict[str, torch.Tensor], names: list[str]) -> set[str]:
    return {name.split(".")[0] for name in moved_parameters(trained, terms, *names)}


def test_few_images_get_enough_steps_and_many_the_default_epochs() -> None:
    def steps(images: int, classes: int = 6, pretrained: bool = True, several: bool = False) -> list[int]:
        trained = method(classes, pretrained=pretrained, multi_label=several)
        return [trained.default_steps(stage, images, classes, 32) for stage in Boxstrap.stages]

    assert steps(51) == steps(238) == [150, 250, 150]
    assert steps(3200) == [800, 1000, 500]
    assert steps(51, pretrained=False) == [400, 300, 200]
    assert steps(51, classes=40) == [300, 500, 300]
    assert steps(51, several=True) == [300, 250, 150]


def test_pretrained_features_stop_learning_when_they_have_had_enough() -> None:
    assert method(pretrained=True).most_steps("classify", 5) == 150
    assert method(pretrained=True).most_steps("classify", 100) == 800
    assert method(pretrained=True).most_steps("localize", 5) is None
    assert method().most_steps("classify", 5) is None


def test_nothing_is_suppressed_at_first() -> None:
    trained = method()
    trained.begin_stage("classify")
    assert set(trained.training_step(noise_batch(classes=3), "classify", 0.0)) == {"classification", "middle"}


def test_a_classifier_that_knows_its_classes_is_not_left_alone() -> None:
    trained = method()
    trained.begin_warm(knows_classes=True)
    trained.begin_stage("classify")
    assert {"suppression", "regions"} < set(trained.train().training_step(noise_batch(classes=3), "classify", 0.0))


def test_suppression_reaches_the_generator_and_its_features_but_not_the_class_head() -> None:
    trained = method()
    trained.begin_stage("classify")
    terms = trained.train().training_step(noise_batch(classes=3), "classify", 0.5)
    with torch.no_grad():  # where the background scores above the image the term is a constant: bring the score up
        trained.head.bias.fill_(10.0)
    terms = trained.training_step(noise_batch(classes=3), "classify", 0.5)
    assert moved_parts(trained, terms, ["suppression"]) == {"coarse", "backbone"}


def test_suppression_leaves_the_running_statistics_of_the_classifier_alone() -> None:
    trained = method().train()
    trained.begin_stage("classify")

    def passes(progress: float) -> set[int]:
        before = {name: int(value) for name, value in trained.backbone.named_buffers() if "num_batches" in name}
        trained.training_step(noise_batch(classes=3), "classify", progress)
        return {int(dict(trained.backbone.named_buffers())[name]) - count for name, count in before.items()}

    assert passes(0.5) == passes(0.0) == {2}  # the images, and their mosaics


def test_one_class_learns_middles_from_every_image_and_suppresses_nothing() -> None:
    trained = method(classes=1)
    trained.begin_stage("classify")
    terms = trained.train().training_step(noise_batch(classes=1), "classify", 0.5)
    assert set(terms) == {"classification", "middle", "regions"}
    assert moved_parts(trained, terms, ["middle"]) == {"coarse", "backbone"}


def test_one_class_of_pretrained_features_learns_what_its_images_have_in_common() -> None:
    trained = method(classes=1, pretrained=True).train()
    trained.begin_stage("classify")
    assert trained.co_localizer is not None
    trained.co_localizer.told.fill_(1.0)
    terms = trained.training_step(noise_batch(classes=1), "classify", 0.5)
    assert set(terms) == {"classification", "common", "regions"}
    assert moved_parts(trained, terms, ["common"]) == {"coarse", "backbone"}


def test_means_are_in_checkpoints_of_stage_classify_and_in_no_model() -> None:
    trained = method(classes=1, pretrained=True).train()
    trained.begin_stage("classify")
    trained.training_step(noise_batch(classes=1), "classify", 0.5)
    resumed = method(classes=1, pretrained=True)
    resumed.begin_stage("classify")
    resumed.load_state_dict(trained.state_dict())
    assert trained.co_localizer is not None and resumed.co_localizer is not None
    assert torch.equal(resumed.co_localizer.of_objects, trained.co_localizer.of_objects)
    trained.begin_stage("localize")
    assert not any(name.startswith("co_localizer") for name in trained.state_dict())


def test_checkpoints_from_before_the_hint_go_on_with_their_own_features() -> None:
    trained = method(classes=1, pretrained=True)
    with torch.no_grad():
        trained.backbone.stages[1][0][0].weight.mul_(2)
    before = {name: value for name, value in trained.state_dict().items() if not name.startswith("co_localizer")}
    resumed = method(classes=1, pretrained=True)
    resumed.begin_stage("classify")
    resumed.load_state_dict(before)
    assert resumed.co_localizer is not None
    assert not resumed.co_localizer.of_middles.any()
    assert torch.equal(resumed.co_localizer.backbone.stages[1][0][0].weight, trained.backbone.stages[1][0][0].weight)


def test_only_the_fine_generator_learns_in_stage_localize() -> None:
    trained = method()
    trained.begin_stage("localize")
    terms = trained.train().training_step(noise_batch(classes=3), "localize", 0.5)
    assert moved_parts(trained, terms, list(terms)) == {"fine"}


def test_frozen_parts_keep_their_statistics_in_stage_localize() -> None:
    trained = method()
    trained.begin_stage("localize")
    trained.train()
    assert not any(module.training for part in (trained.backbone, trained.coarse) for module in part.modules())
    assert trained.fine.training


def test_a_pretrained_stem_stays_as_it_is() -> None:
    trained = method(pretrained=True)
    trained.begin_stage("classify")
    assert not any(parameter.requires_grad for parameter in trained.backbone.stages[0].parameters())
    assert all(parameter.requires_grad for parameter in trained.backbone.stages[1].parameters())


def test_maps_are_shared_before_stage_localize_and_per_class_after() -> None:
    trained = method().eval()
    trained.begin_stage("classify")
    assert trained(noise_batch(classes=3).images).maps.shape == (4, 1, SIDE // 8, SIDE // 8)
    trained.begin_stage("localize")
    prediction = trained(noise_batch(classes=3).images)
    assert prediction.maps.shape == (4, 3, SIDE // 4, SIDE // 4)
    assert prediction.logits.shape == (4, 3)
    assert 0 <= prediction.maps.min() <= prediction.maps.max() <= 1


@pytest.mark.parametrize("stage", ["classify", "localize"])
def test_one_class_alone_gives_finite_terms(stage: str) -> None:
    trained = method(classes=1).train()
    trained.begin_stage(stage)
    terms = trained.training_step(noise_batch(classes=1), stage, 0.9)
    assert all(torch.isfinite(term) for term in terms.values())


def test_an_image_with_several_labels_gets_a_teacher_of_its_own_for_each() -> None:
    trained = method(multi_label=True).eval()
    trained.begin_stage("localize")
    both = replace(noise_batch(classes=3, size=1), labels=torch.tensor([[1.0, 1.0, 0.0]]))
    with torch.no_grad():
        features = trained.backbone(both.images)
        trained.head.weight.zero_()  # all places are evident for all classes
        trained.head.bias.copy_(torch.tensor([2.0, 1.0, 0.0]))
        agnostic = trained.coarse(features).sigmoid()[:, 0]
        parts = [trained._teacher(replace(both, target=torch.tensor([label])), features) for label in (0, 1)]
    assert torch.allclose(parts[0] + parts[1], agnostic, atol=1e-5)
    assert (parts[0] > parts[1]).all()


@pytest.mark.parametrize(("rivals", "faintest"), [(-100.0, 0.08**0.5), (100.0, 1.0)])
def test_maps_are_dimmed_where_the_class_is_faint_as_far_as_the_classifier_knows_it(
    rivals: float, faintest: float
) -> None:
    trained = method(pretrained=True).eval()
    trained.begin_stage("localize")
    images = noise_batch(classes=3, size=1).images
    class_maps = torch.full((1, 3, SIDE // 16, SIDE // 16), rivals)
    class_maps[:, 0] = 0
    class_maps[:, 0, 0, 0], class_maps[:, 0, 0, 1] = 40, 10
    trained.head.forward = lambda features: class_maps  # type: ignore[method-assign, misc, assignment]
    with torch.no_grad():
        plain = trained.fine(trained.backbone(images)).sigmoid()[0, 0]
        dimming = trained(images).maps[0, 0] / plain
    assert float(dimming[0, 0]) == float(dimming[0, 4]) == pytest.approx(1)  # a quarter of the peak is enough
    assert float(dimming[-1, -1]) == pytest.approx(faintest, rel=1e-4)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_class_that_competes_with_nothing_dims_nothing(multi_label: bool) -> None:
    trained = method(classes=1, multi_label=multi_label, pretrained=True).eval()
    trained.begin_stage("localize")
    batch = noise_batch(classes=1)
    with torch.no_grad():
        features = trained.backbone(batch.images)
        assert torch.equal(trained._teacher(batch, features), trained.coarse(features).sigmoid()[:, 0])
        assert torch.equal(trained(batch.images).maps, trained.fine(features).sigmoid())


def test_drawn_masks_replace_the_pseudo_masks() -> None:
    trained = method().train()
    trained.begin_stage("localize")
    drawn = torch.zeros(4, SIDE // 4, SIDE // 4)
    drawn[:, 4:8, 4:8] = 1
    corrected = replace(noise_batch(classes=3), region_kind=torch.full((4,), MASK_REGION), region=drawn)
    terms = trained.training_step(corrected, "localize", 0.5)
    assert terms["pseudo"].item() == 0
    assert terms["regions"].item() > 0
