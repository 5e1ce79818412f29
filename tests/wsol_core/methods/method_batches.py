"""Small methods and batches that the tests of all methods share."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from wsol_core.data.batch import Batch
from wsol_core.methods.base import LossTerms, WsolMethod
from wsol_core.methods.build import build_method
from wsol_core.records import NO_REGION

SIDE = 64


def tiny_method(name: str, classes: int = 5, multi_label: bool = False, **options: Any) -> WsolMethod:
    torch.manual_seed(0)
    return build_method(name, "tiny", classes, multi_label, options=options).train()


def noise_batch(classes: int = 5, size: int = 4, backgrounds: int = 0) -> Batch:
    torch.manual_seed(1)
    target = torch.arange(size) % classes
    return Batch(
        images=torch.randn(size, 3, SIDE, SIDE),
        labels=F.one_hot(target, classes).float(),
        target=target,
        region_kind=torch.full((size,), NO_REGION),
        region=torch.zeros(size, SIDE // 4, SIDE // 4),
        backgrounds=torch.randn(backgrounds, 3, SIDE, SIDE) if backgrounds else None,
    )


def moved_parameters(method: WsolMethod, terms: LossTerms, *names: str) -> set[str]:
    """Names of the parameters that the sum of the named terms gives a gradient other than 0."""
    method.zero_grad(set_to_none=True)
    torch.stack([terms[name] for name in names]).sum().backward()
    return {n for n, p in method.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def total(terms: LossTerms) -> torch.Tensor:
    """What a training step minimises."""
    return torch.stack([term.float() for term in terms.values()]).sum()


def gradients(method: WsolMethod, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of the loss by every parameter; zeros where it has none."""
    method.zero_grad(set_to_none=True)
    loss.backward()
    return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in method.named_parameters()}


def largest_difference(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    """Over all tensors, in shares of each one's largest value (at least 1e-3)."""
    return max(
        ((left[name] - right[name]).abs().max() / right[name].abs().max().clamp(min=1e-3)).item() for name in right
    )
