"""BAS: the routing of its gradients, which is the method, and its extreme masks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests.wsol_core.methods.method_batches import (
    gradients,
    largest_difference,
    moved_parameters,
    noise_batch,
    tiny_method,
    total,
)
from wsol_core.data.batch import Batch
from wsol_core.methods.bas import Bas
from wsol_core.methods.build import build_method
from wsol_core.records import NO_REGION


def bas(multi_label: bool = False, **options: Any) -> Bas:
    method = tiny_method("bas", 5, multi_label, **options)
    assert isinstance(method, Bas)
    with torch.no_grad():
        method.class_maps.head[4].bias.fill_(5.0)  # positive scores, so that suppression is not a constant
        # A background just below the image's score: maps near 0.
        method.generator.bias.fill_(-2.0)
    return method


def test_suppression_teaches_generator_and_features_and_never_the_class_maps() -> None:
    method = bas()
    terms = method.training_step(noise_batch(), "localize", 0.5)
    parts = {name.split(".")[0] for name in moved_parameters(method, terms, "suppression")}
    assert parts == {"generator", "features"}


def test_suppression_reaches_features_through_the_generator_only() -> None:
    method = bas()
    features = method.features(noise_batch().images).detach().requires_grad_()
    foreground = torch.full((4, *features.shape[2:]), 0.5)
    scores = method._background_scores(features, foreground)
    assert not scores.requires_grad


def test_guidance_teaches_class_maps_too() -> None:
    method = bas()
    terms = method.training_step(noise_batch(), "localize", 0.5)
    parts = {name.split(".")[0] for name in moved_parameters(method, terms, "guidance")}
    assert parts == {"generator", "features", "class_maps"}


def test_area_gradient_is_beta_over_the_number_of_cells() -> None:
    method = bas()
    maps = []
    method.generator.register_forward_hook(lambda module, args, out: (out.retain_grad(), maps.append(out))[0])
    terms = method.training_step(noise_batch(), "localize", 0.5)
    terms["area"].backward()
    logits, own = maps[0], torch.arange(4)
    sigmoid = logits.detach().sigmoid()
    expected = 1.5 / (4 * 8 * 8) * sigmoid * (1 - sigmoid)
    assert torch.allclose(logits.grad[own, own], expected[own, own], rtol=1e-4)


def test_an_empty_map_leaves_the_whole_score_and_a_full_one_almost_none() -> None:
    method = bas().eval()
    features = method.features(noise_batch().images)
    whole = method.class_maps(features).mean((2, 3))
    empty = method._background_scores(features, torch.zeros(4, *features.shape[2:]))
    blank = method.class_maps(torch.zeros_like(features)).mean((2, 3))
    full = method._background_scores(features, torch.ones(4, *features.shape[2:]))
    assert torch.allclose(empty, whole, atol=1e-5)
    assert torch.allclose(full, blank, atol=1e-5)


@pytest.mark.slow
def test_the_background_pass_leaves_running_statistics_alone() -> None:
    method = bas()
    method.training_step(noise_batch(), "localize", 0.5)
    counts = [value for name, value in method.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts and all(count == 1 for count in counts)


@pytest.mark.parametrize(("fused", "channels"), [(1, 5), (3, 1)])
def test_fusing_averages_the_maps_of_the_most_probable_classes(fused: int, channels: int) -> None:
    method = bas(fused=fused).eval()
    images = noise_batch().images
    prediction = method(images)
    assert prediction.maps.shape[1] == channels
    if fused == 3:
        every = method.generator(method.features(images)).sigmoid()
        best = prediction.logits[0].topk(3).indices
        assert torch.allclose(prediction.maps[0, 0], every[0, best].mean(0))


def plain_loss(method: Bas, batch: Batch, alpha: float, beta: float, constant: float) -> torch.Tensor:
    """L = L_cls + alpha L_frg + L_bas + beta L_ac, image by image, from the equations of the extension."""
    features = method.features(batch.images)
    f2 = copy.deepcopy(method.class_maps).requires_grad_(False)
    maps = method.class_maps(features)
    foreground = torch.sigmoid(F.conv2d(features, method.generator.weight, method.generator.bias, padding=1))
    own = torch.stack([foreground[i, y] for i, y in enumerate(batch.target)])
    background = f2(features.detach() * (1 - own[:, None])).mean((2, 3))
    loss = torch.zeros(())
    for i, y in enumerate(batch.target):
        scores = maps[i].mean((1, 2))
        pooled = own[i].reshape(4, 2, 4, 2).mean((1, 3))
        seen = (maps[i] * pooled).mean((1, 2))
        whole, outside = scores[y].detach().relu(), background[i, y].relu()
        suppression = outside / (whole + 1e-8) if outside <= whole else torch.tensor(constant)
        guidance = -(seen - seen.logsumexp(0))[y]
        loss = loss - (scores - scores.logsumexp(0))[y] + alpha * guidance + suppression + beta * own[i].mean()
    return loss / len(batch.images)


@pytest.mark.parametrize(("alpha", "beta", "constant"), [(0.5, 1.5, 1.0), (0.0, 0.9, 0.0)])
def test_loss_and_gradient_of_a_whole_step_are_those_of_the_equations(
    alpha: float, beta: float, constant: float
) -> None:
    method = bas(alpha=alpha, beta=beta, constant=constant, batchnorm="batch")
    batch = noise_batch()
    loss = total(method.training_step(batch, "localize", 0.5))
    expected = plain_loss(method, batch, alpha, beta, constant)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    assert largest_difference(gradients(method, loss), gradients(method, expected)) < 1e-5


@pytest.mark.parametrize(
    ("backbone", "multi_label", "published"),
    [
        ("vgg16", False, (0.0, 0.9, 0.0)),
        ("resnet50", False, (0.5, 1.5, 1.0)),
        ("mobilenet_v1", False, (0.5, 1.9, 1.0)),
        ("inception_v3", False, (0.5, 1.0, 1.0)),
        ("mobilenet_v2", False, (0.5, 1.5, 1.0)),
        ("resnet50", True, (0.2, 1.2, 1.0)),
    ],
)
def test_weights_are_those_published_for_the_backbone_unless_options_name_others(
    backbone: str, multi_label: bool, published: tuple[float, float, float]
) -> None:
    with torch.device("meta"):
        method = build_method("bas", backbone, 5, multi_label)
        other = build_method("bas", backbone, 5, multi_label, options={"alpha": 0.05, "beta": "1", "constant": 0.5})
    assert isinstance(method, Bas) and isinstance(other, Bas)
    assert (method.alpha, method.beta, method.constant) == published
    assert (other.alpha, other.beta, other.constant) == (0.05, 1.0, 0.5)
    assert [layer.out_channels for layer in method.class_maps.head if isinstance(layer, torch.nn.Conv2d)] == [
        1024,
        1024,
        5,
    ]


@pytest.mark.slow
def test_new_layers_of_vgg16_begin_as_released() -> None:
    torch.manual_seed(0)
    method = build_method("bas", "vgg16", 5, False)
    assert isinstance(method, Bas)
    first = method.class_maps.head[0]
    assert first.weight.std().item() == pytest.approx(0.02, rel=0.01) and first.bias.abs().sum() > 0


@pytest.mark.slow
@torch.no_grad()
def test_a_resnet_pools_before_a_last_stage_of_stride_1_as_released() -> None:
    method = build_method("bas", "resnet18", 5, False).eval()
    assert isinstance(method, Bas)
    features = method.features(torch.randn(1, 3, 64, 64))
    pool, *blocks = method.class_maps.stage
    assert features.shape[2:] == (8, 8) and isinstance(pool, torch.nn.MaxPool2d)
    assert all(module.stride != (2, 2) for block in blocks for module in block.modules() if hasattr(module, "stride"))
    assert torch.nn.Sequential(*blocks)(F.max_pool2d(features, 2)).shape[2:] == (4, 4)


def two_labels() -> Batch:
    """Every image has the classes 0 and 1, and 0 is drawn."""
    labels = torch.zeros(4, 5)
    labels[:, :2] = 1
    batch = noise_batch()
    target, none = torch.zeros(4, dtype=torch.long), torch.full((4,), NO_REGION)
    return Batch(batch.images, labels, target, none, batch.region)


def test_the_map_of_a_class_gets_no_reward_for_covering_another_class_of_the_image() -> None:
    method = bas(multi_label=True).eval()
    maps = torch.randn(4, 5, 4, 4)
    foreground = torch.rand(4, 8, 8, requires_grad=True)
    found = []
    for strength in (0.0, 100.0):
        maps[:, 1] += strength  # of class 1 everywhere
        method._guidance(maps, foreground, two_labels()).backward()
        found.append(foreground.grad.clone())
        foreground.grad = None
    assert found[0].abs().sum() > 0
    assert torch.equal(found[0], found[1])


def test_guidance_with_several_labels_is_the_drawn_class_against_the_absent_ones_and_teaches_maps_alone() -> None:
    method = bas(multi_label=True)
    batch = two_labels()
    terms = method.training_step(batch, "localize", 0.5)
    parts = {name.split(".")[0] for name in moved_parameters(method, terms, "guidance")}
    assert parts == {"generator", "features"}
    maps, foreground = torch.randn(4, 5, 4, 4), torch.rand(4, 8, 8)
    seen = (maps * F.avg_pool2d(foreground[:, None], 2)).mean((2, 3))[:, [0, 2, 3, 4]]
    expected = -(seen[:, 0] - seen.logsumexp(1)).mean()
    assert method._guidance(maps, foreground, batch).item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_conference_version_cuts_class_maps_at_0() -> None:
    method = bas(final_relu=True)
    assert method.class_maps(method.features(noise_batch().images)).min() >= 0
