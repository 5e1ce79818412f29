"""BAS: the routing of its gradients, which is the method, and its extreme masks."""

from __future__ import annotations

import pytest
import torch

from tests.wsol_core.methods.method_batches import moved_parameters, noise_batch, tiny_method
from wsol_core.methods.bas import Bas


def bas() -> Bas:
    method = tiny_method("bas")
    assert isinstance(method, Bas)
    with torch.no_grad():
        method.class_maps.head[-1].bias.fill_(5.0)  # positive scores, so that suppression is not a constant
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
    method = bas().eval()
    method.fused = fused
    images = noise_batch().images
    prediction = method(images)
    assert prediction.maps.shape[1] == channels
    if fused == 3:
        every = method.generator(method.features(images)).sigmoid()
        best = prediction.logits[0].topk(3).indices
        assert torch.allclose(prediction.maps[0, 0], every[0, best].mean(0))
