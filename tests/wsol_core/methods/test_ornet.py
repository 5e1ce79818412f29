"""ORNet: what learns in which stage, and against what."""

from __future__ import annotations

import torch

from tests.wsol_core.methods.method_batches import moved_parameters, noise_batch, tiny_method
from wsol_core.methods.ornet import OrNet


def ornet() -> OrNet:
    method = tiny_method("ornet")
    assert isinstance(method, OrNet)
    return method


def parts(names: set[str], depth: int = 1) -> set[str]:
    return {".".join(name.split(".")[:depth]) for name in names}


def test_evaluator_and_coarse_generator_learn_side_by_side_and_share_nothing() -> None:
    method = ornet()
    method.begin_stage("classify")
    terms = method.training_step(noise_batch(), "classify", 0.5)
    assert parts(moved_parameters(method, terms, "evaluator")) == {"evaluator"}
    terms = method.training_step(noise_batch(), "classify", 0.5)
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
