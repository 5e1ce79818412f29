"""WSL-BG: background images empty the maps, and a single class learns."""

from __future__ import annotations

import torch

from tests.wsol_core.methods.method_batches import moved_parameters, noise_batch, tiny_method


def test_alignment_moves_the_class_maps_and_not_the_foreground_module() -> None:
    method = tiny_method("wsl_bg")
    terms = method.training_step(noise_batch(backgrounds=2), "localize", 0.9)
    parts = {name.split(".")[0] for name in moved_parameters(method, terms, "alignment")}
    assert parts == {"head", "backbone"}


def test_alignment_waits_until_the_foreground_means_something() -> None:
    method = tiny_method("wsl_bg")
    assert method.training_step(noise_batch(backgrounds=2), "localize", 0.05)["alignment"].item() == 0


def test_a_single_class_is_told_from_its_backgrounds() -> None:
    method = tiny_method("wsl_bg", classes=1)
    batch = noise_batch(classes=1, backgrounds=4)
    batch.backgrounds.sub_(1.0)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.02, momentum=0.9)
    for _ in range(30):
        terms = method.training_step(batch, "localize", 0.0)
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
    method.eval()
    with torch.no_grad():
        objects, empty = method(batch.images).logits.mean(), method(batch.backgrounds).logits.mean()
    assert objects > empty + 1


def test_without_background_images_the_borders_of_the_images_stand_in() -> None:
    terms = tiny_method("wsl_bg").training_step(noise_batch(), "localize", 0.9)
    assert terms["emptiness"].item() > 0
