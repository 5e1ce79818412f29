"""ORNet: what learns in which stage, and against what."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor

from tests.wsol_core.methods.method_batches import (
    gradients,
    largest_difference,
    moved_parameters,
    noise_batch,
    tiny_method,
    total,
)
from wsol_core.data.batch import Batch
from wsol_core.errors import WeightsError
from wsol_core.methods.build import build_method
from wsol_core.methods.ornet import OrNet
from wsol_core.methods.ornet_evaluators import Vgg16Evaluator


def ornet(classes: int = 5, **options: Any) -> OrNet:
    method = tiny_method("ornet", classes, **options)
    assert isinstance(method, OrNet)
    return method


def parts(names: set[str], depth: int = 1) -> set[str]:
    return {".".join(name.split(".")[:depth]) for name in names}


def test_evaluator_and_coarse_generator_learn_in_stages_of_their_own_and_share_nothing() -> None:
    method = ornet()
    method.begin_stage("evaluator")
    terms = method.train().training_step(noise_batch(), "evaluator", 0.5)
    assert parts(moved_parameters(method, terms, "classification")) == {"evaluator"}
    method.begin_stage("classify")
    terms = method.train().training_step(noise_batch(), "classify", 0.5)
    assert parts(moved_parameters(method, terms, "classification")) == {"stem", "rest", "generator"}
    terms = method.training_step(noise_batch(), "classify", 0.5)
    assert parts(moved_parameters(method, terms, "auxiliary")) == {"stem", "generator"}


def test_refinement_moves_the_last_two_steps_and_the_map_head_only() -> None:
    method = ornet()
    method.begin_stage("localize")
    terms = method.train().training_step(noise_batch(), "localize", 0.5)
    moved = parts(moved_parameters(method, terms, *terms), 2)
    assert moved == {"generator.u2", "generator.u3", "generator.map_head"}


def test_what_is_frozen_keeps_its_statistics() -> None:
    method = ornet()
    method.begin_stage("localize")
    method.train()
    learning = {name.split(".")[1] for name, module in method.named_modules() if module.training and "." in name}
    assert learning == {"u2", "u3", "map_head"}


def test_scores_come_from_the_evaluator_on_the_whole_image() -> None:
    method = ornet().eval()
    images = noise_batch().images
    assert torch.equal(method(images).logits, method.evaluator(images))


def unet(method: OrNet, low: Tensor) -> tuple[Tensor, Tensor]:
    """(p, f^a): the map (B, h, w) and the class features, step by step."""
    net = method.generator
    d1 = net.d1(F.max_pool2d(low, 2))
    d2 = net.d2(F.max_pool2d(d1, 2))
    d3 = net.d3(F.max_pool2d(d2, 2))
    x = d3
    for skip, block in ((d2, net.u1), (d1, net.u2), (low, net.u3)):
        x = block(torch.cat([skip, F.interpolate(x, skip.shape[2:], mode="bilinear")], 1))
    return net.map_head(x).sigmoid()[:, 0], x


def plain_coarse(method: OrNet, batch: Batch) -> Tensor:
    low = method.stem(batch.images)
    p, features = unet(method, low)
    scores = method.rest.head(method.rest.stages(low * p[:, None]).flatten(2).mean(2))
    auxiliary = torch.einsum("kc,bc->bk", method.generator.auxiliary.weight[:, :, 0, 0], features.mean((2, 3)))
    rows = range(len(p))
    return -sum((z - z.logsumexp(1, keepdim=True))[rows, batch.target].mean() for z in (scores, auxiliary))


def plain_refinement(method: OrNet, batch: Batch) -> Tensor:
    """L = L_eval + 0.02 L_area + 1.5 L_went, image by image, without erasing."""
    p, features = unet(method, method.stem(batch.images).detach())
    loss = torch.zeros(())
    for i, y in enumerate(batch.target):
        seen = (0.6 * p[i] + 0.2).repeat_interleave(4, 0).repeat_interleave(4, 1)
        scores = method.evaluator(batch.images[i : i + 1] * seen)[0]
        area = p[i].mean()
        for c in scores.sort(descending=True).indices[3:25]:
            area = area + features[i, c].mean()
        weight = torch.exp(-((p[i] - 0.5) ** 2) / (2 * 0.1**2))
        entropy = -(weight * (p[i] * p[i].log() + (1 - p[i]) * (1 - p[i]).log())).mean()
        loss = loss - (scores - scores.logsumexp(0))[y] + 0.02 * area + 1.5 * entropy
    return loss / len(p)


@pytest.mark.parametrize("stage", ["classify", "localize"])
def test_loss_and_gradient_of_a_whole_step_are_those_of_the_equations(stage: str) -> None:
    method = ornet(classes=70, erasing="none")  # so many that the class features have no more channels than classes
    method.begin_stage(stage)
    method.train()
    batch = noise_batch(70)
    loss = total(method.training_step(batch, stage, 0.5))
    expected = plain_coarse(method, batch) if stage == "classify" else plain_refinement(method, batch)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    assert largest_difference(gradients(method, loss), gradients(method, expected)) < 1e-5


def test_the_erasing_is_the_one_that_the_options_name() -> None:
    method = ornet(erasing="random", erasing_share=1.0)
    method.begin_stage("localize")
    seen: list[Tensor] = []
    method.evaluator.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    for seed in range(8):
        torch.manual_seed(seed)
        method.training_step(noise_batch(), "localize", 0.5)
    # Random erasing drops pixels everywhere; attentive erasing finds no window in so small a map.
    assert any((images == 0).float().mean() > 0.1 for images in seen)


@pytest.mark.slow
@torch.no_grad()
def test_low_level_features_of_a_resnet_end_at_its_first_pool() -> None:
    stock = torchvision.models.resnet18(weights=None).eval()
    method = build_method("ornet", "resnet18", 5, False, stock.state_dict()).eval()
    earlier = build_method("ornet", "resnet18", 5, False, stock.state_dict(), options={"stem": "stage"}).eval()
    assert isinstance(method, OrNet) and isinstance(earlier, OrNet)
    images = torch.randn(1, 3, 64, 64)
    low = stock.maxpool(stock.relu(stock.bn1(stock.conv1(images))))
    assert torch.allclose(method.stem(images), low) and low.shape[1] == 64
    assert torch.allclose(earlier.stem(images), stock.layer1(low), atol=1e-5)
    rest = torch.nn.Sequential(stock.layer1, stock.layer2, stock.layer3, stock.layer4)
    assert torch.allclose(method.rest.stages(low), rest(low), atol=1e-5)


@pytest.mark.slow
@torch.no_grad()
def test_a_last_stage_that_begins_anew_leaves_the_evaluator_as_it_was() -> None:
    stock = torchvision.models.resnet18(weights=None)
    method = build_method("ornet", "resnet18", 5, False, stock.state_dict(), options={"fresh_top": True})
    assert isinstance(method, OrNet)
    theirs = stock.layer4[0].conv1.weight
    assert torch.equal(method.evaluator.stages[3][0].conv1.weight, theirs)
    assert not torch.equal(method.rest.stages[-1][0].conv1.weight, theirs)
    assert torch.equal(method.rest.stages[-2][0].conv1.weight, stock.layer3[0].conv1.weight)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [5, 1000])
def test_the_published_evaluator_is_the_whole_vgg16_with_a_last_layer_for_other_classes(classes: int) -> None:
    torch.manual_seed(0)
    stock = torchvision.models.vgg16(weights=None, init_weights=False).eval()
    method = ornet(classes, evaluator="vgg16").eval()
    assert method.further_networks == ("vgg16",)
    method.load_further_network("vgg16", stock.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        hidden = stock.classifier[:6](stock.avgpool(stock.features(images)).flatten(1))
        expected = stock.classifier[6](hidden) if classes == 1000 else method.evaluator.network.classifier[6](hidden)
        assert torch.allclose(method(images).logits, expected, atol=1e-5)
    method.begin_stage("localize")
    method.train()
    assert all(module.training for module in method.evaluator.modules() if isinstance(module, torch.nn.Dropout))


@pytest.mark.slow
def test_weights_of_another_network_are_no_evaluators() -> None:
    with torch.device("meta"):
        evaluator = Vgg16Evaluator(5)
    with pytest.raises(WeightsError, match="vgg16"):
        evaluator.load_imagenet(torchvision.models.resnet18(weights=None).state_dict())


def test_batchnorm_normalises_by_the_batch_everywhere_where_the_options_say_so() -> None:
    method = ornet(batchnorm="batch")
    method.begin_stage("localize")
    method.train()
    assert all(module.training for module in method.modules())


def test_the_released_rates_are_the_same_for_old_and_new() -> None:
    method = ornet(lr=0.001, new_lr=0.001)
    rates = {}
    for stage in method.stages:
        method.begin_stage(stage)
        rates[stage] = {group["lr"] for group in method.parameter_groups(stage)}
    assert rates == {"evaluator": {0.001}, "classify": {0.001}, "localize": {0.0001}}
    assert [method.optimizer(stage) for stage in method.stages] == ["momentum", "momentum", "adam"]
