"""What holds for every method: shapes, finite terms, odd numbers of classes, a step that lowers the loss."""

from __future__ import annotations

import pytest
import torch

from tests.wsol_core.methods.method_batches import SIDE, noise_batch, tiny_method
from wsol_core.registry import BUILT_IN
from wsol_core.training.optimizers import build_optimizer


@pytest.mark.parametrize("name", BUILT_IN)
def test_maps_and_scores_have_their_shapes_and_range(name: str) -> None:
    method = tiny_method(name).eval()
    with torch.no_grad():
        prediction = method(noise_batch().images)
        maps = method.activation_maps(noise_batch().images, torch.tensor([0, 1, 2, 3]))
    assert prediction.logits.shape == (4, 5)
    assert prediction.maps.shape[:2] in ((4, 5), (4, 1))
    assert maps.shape == (4, *prediction.maps.shape[2:])
    assert 0 <= maps.min() <= maps.max() <= 1


@pytest.mark.parametrize("classes", [1, 2, 30])
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_stage_trains_with_few_and_many_classes(name: str, classes: int) -> None:
    method = tiny_method(name, classes)
    for stage in method.stages:
        method.begin_stage(stage)
        method.train()
        terms = method.training_step(noise_batch(classes), stage, 0.9)
        total = torch.stack([term.float() for term in terms.values()]).sum()
        total.backward()
        assert torch.isfinite(total)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_stage_trains_with_several_labels_an_image(name: str) -> None:
    method = tiny_method(name, multi_label=True)
    batch = noise_batch()
    batch.labels[:, 0] = 1
    for stage in method.stages:
        method.begin_stage(stage)
        method.train()
        terms = method.training_step(batch, stage, 0.9)
        assert all(torch.isfinite(term) for term in terms.values())


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_optimiser_learns_what_the_stage_frees_and_nothing_else(name: str) -> None:
    method = tiny_method(name)
    for stage in method.stages:
        method.begin_stage(stage)
        groups = method.parameter_groups(stage)
        learning = [id(parameter) for group in groups for parameter in group["params"]]
        free = {id(parameter) for parameter in method.parameters() if parameter.requires_grad}
        assert len(learning) == len(set(learning))
        assert set(learning) == free


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT_IN)
def test_steps_on_one_batch_lower_the_classification_loss(name: str) -> None:
    method = tiny_method(name)
    stage = method.stages[0]
    method.begin_stage(stage)
    method.train()
    optimizer = build_optimizer(method.parameter_groups(stage), method.optimizer(stage))
    values = []
    for _ in range(12):
        terms = method.training_step(noise_batch(), stage, 0.0)
        values.append(terms["classification"].item())
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
    assert values[-1] < 0.8 * values[0]


@pytest.mark.parametrize("name", BUILT_IN)
def test_bfloat16_autocast_gives_finite_terms_in_float32(name: str) -> None:
    method = tiny_method(name).to(memory_format=torch.channels_last)
    for stage in method.stages:
        method.begin_stage(stage)
        with torch.autocast("cpu", torch.bfloat16):
            terms = method.training_step(noise_batch(), stage, 0.9)
        assert all(torch.isfinite(term) and term.dtype == torch.float32 for term in terms.values())


def test_images_of_another_side_are_predicted_too() -> None:
    method = tiny_method("boxstrap").eval()
    assert method(torch.randn(1, 3, 2 * SIDE, 2 * SIDE)).maps.shape[2:] == (SIDE // 4, SIDE // 4)


@pytest.mark.parametrize("name", BUILT_IN)
def test_few_images_get_two_hundred_steps_or_more_and_many_the_published_epochs(name: str) -> None:
    method = tiny_method(name)
    for stage in method.stages:
        few, many = (method.default_steps(stage, images, 4, 32) for images in (20, 32_000))
        assert few >= 200
        assert many == 1000 * method.default_epochs[stage]
