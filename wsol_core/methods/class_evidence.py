"""What class activation maps say of where a class is: they dim maps that find every object, and share them out."""

from __future__ import annotations

import torch
from torch import Tensor

# docs/methods.md says what changing each number did.
EVIDENT = 0.25  # of the peak of a class activation map: from there on a place is the class for sure
LEAST_EVIDENCE = 0.08  # so that nothing is dimmed to less than 0.28
EVIDENCE_POWER = 0.5  # times the probability of the class


def class_evidence(class_maps: Tensor, probabilities: Tensor) -> Tensor:
    """What maps are dimmed by, (B, C, h, w) in (0, 1]: clamp(a / (EVIDENT max a), LEAST_EVIDENCE, 1) ^ (p / 2).

    a is a class's activation map and p its probability, so an uncertain classifier hardly dims anything.

    Args: class_maps: (B, C, h, w) logits. probabilities: (B, C, 1, 1) of the classes in the images.
    """
    peaks = class_maps.amax((2, 3), keepdim=True).clamp(min=1e-6)
    return (class_maps / (EVIDENT * peaks)).clamp(LEAST_EVIDENCE, 1.0) ** (EVIDENCE_POWER * probabilities)


def share_of_target(class_maps: Tensor, labels: Tensor, target: Tensor) -> Tensor:
    """(B, h, w) in [0, 1]: the target class's share of each place among the image's classes; 1 where it is alone.

    Args: class_maps: (B, C, h, w) logits. labels: (B, C), 1 for the image's classes. target: (B,) long.
    """
    everyone = torch.arange(len(class_maps), device=class_maps.device)
    others = labels.clone()
    others[everyone, target] = 0
    rival = class_maps.masked_fill((others == 0)[:, :, None, None], -torch.inf).amax(1)
    return torch.sigmoid(class_maps[everyone, target] - rival)
