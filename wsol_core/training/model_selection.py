"""Choose the epoch to export, without boxes, on images held out of the training.

The criterion, for a held-out image I of class y with the model's own map M, min-max normalised in [0, 1]:

    score = p_y(I * M) * (1 - p_y(I * (1 - M))) - penalty(mean M)

p_y is the model's own class probability; multiplying blanks to the training images' mean colour. A good map keeps
all that tells the class and leaves none of it outside. A full map would reach the first term's maximum, and an empty
one may gain from a background that tells the class, so the penalty, 0 for areas between SMALLEST and LARGEST, rises
to 1 where the map is empty or full. The score is in [-1, 1].

It tells a collapsed map from a working one, and not which of two working maps is tighter: on real images it fell
from .57 to .17 while the masks' IoU rose, since a tight map lets a little of the class outside. So the last epoch is
exported unless it lost COLLAPSE, and one standard error of the difference over the same images, against the best.
No box and no mask is looked at, here or in the split.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsol_core.devices import autocast
from wsol_core.methods.base import WsolMethod
from wsol_core.ops.maps import min_max_tensor
from wsol_core.records import Sample

SMALLEST, LARGEST = 0.02, 0.6  # mean of a map; objects that fill more of the image tell epochs apart all the same
TIE = 0.01  # a gain that keeps an early stop away is larger
COLLAPSE = 0.75  # a loss that no working map has against another
MOST_HELD_OUT = 64  # images; three passes of them an epoch have to stay cheap
FEWEST_OF_A_CLASS = 5


def split_holdout(samples: Sequence[Sample], share: float) -> tuple[list[Sample], list[Sample]]:
    """Samples for training, and those held out: about `share` of each class that has 5 images or more, at least one.

    An image's class is its first label. Which ones depends on their names only, so that more images later do not
    move the others; images with corrected regions are held out last, since they teach most.
    """
    by_class: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_class[sample.labels[0]].append(sample)
    most = max(1, MOST_HELD_OUT // max(1, len(by_class)))
    held: set[str] = set()
    for members in by_class.values():
        if share > 0 and len(members) >= FEWEST_OF_A_CLASS:
            count = min(most, max(1, round(len(members) * share)))
            held.update(sample.file for sample in sorted(members, key=_holdout_rank)[:count])
    return [s for s in samples if s.file not in held], [s for s in samples if s.file in held]


def _holdout_rank(sample: Sample) -> tuple[bool, bytes]:
    return bool(sample.regions), hashlib.blake2b(sample.file.encode(), digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Images (N, 3, S, S), normalised as for training, and the class (N,) long whose map is scored."""

    images: Tensor
    target: Tensor


def localization_scores(
    method: WsolMethod, held_out: HeldOut, device: torch.device, dtype: torch.dtype, batch_size: int = 32
) -> Tensor:
    """(N,) scores in [-1, 1] of the module's criterion, on the CPU."""
    scores = []
    with torch.no_grad(), evaluating(method):
        for start in range(0, len(held_out.images), batch_size):
            cut = slice(start, start + batch_size)
            images = held_out.images[cut].to(device, memory_format=torch.channels_last)
            target = held_out.target[cut].to(device)
            with autocast(device, dtype):
                maps = method.activation_maps(images, target)[:, None].float()
                maps = F.interpolate(maps, size=images.shape[2:], mode="bilinear")
                maps = min_max_tensor(maps, least_range=1e-12).nan_to_num()  # a broken map counts as an empty one
                kept = _probability(method, images * maps, target)
                left = _probability(method, images * (1 - maps), target)
            scores.append((kept * (1 - left) - area_penalty(maps.mean((1, 2, 3)))).cpu())
    return torch.cat(scores)


def top1_accuracy(method: WsolMethod, held_out: HeldOut, device: torch.device, dtype: torch.dtype) -> float:
    """The share of held-out images whose class has the highest score of all."""
    right = 0
    with torch.no_grad(), evaluating(method):
        for images, target in zip(torch.split(held_out.images, 32), torch.split(held_out.target, 32), strict=True):
            with autocast(device, dtype):
                logits = method.class_scores(images.to(device, memory_format=torch.channels_last))
            right += int((logits.float().argmax(1).cpu() == target).sum())
    return right / max(1, len(held_out.target))


def area_penalty(area: Tensor) -> Tensor:
    """In [0, 1], for mean map values in [0, 1] of any shape: 0 from SMALLEST to LARGEST, 1 at 0 and at 1."""
    return F.relu(1 - area / SMALLEST) + F.relu((area - LARGEST) / (1 - LARGEST))


def _probability(method: WsolMethod, images: Tensor, target: Tensor) -> Tensor:
    logits = method.class_scores(images).float()
    return method.probabilities(logits).gather(1, target[:, None])[:, 0]


@contextmanager
def evaluating(method: nn.Module) -> Iterator[None]:
    """The module in evaluation mode; afterwards every part is in the mode that it had."""
    modes = [(module, module.training) for module in method.modules()]
    method.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class EpochChoice:
    """The weights to export, so far. `weights` is None before the first update."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] | None = None
        self.epoch = 0
        self.score = -math.inf
        self.last_gain_epoch = 0
        self._peak: Tensor | None = None

    def update(self, epoch: int, scores: Tensor, method: nn.Module) -> None:
        """Takes the weights of `epoch` (later than all before), with their `scores` (N,), unless they are worse."""
        if self._peak is None or scores.mean() > self._peak.mean() + TIE * self._peak.mean().abs():
            self.last_gain_epoch = epoch
        if self._peak is None or not is_worse(scores, self._peak):
            self.epoch, self.score = epoch, float(scores.mean())
            self.weights = {name: value.detach().cpu().clone() for name, value in method.state_dict().items()}
        if self._peak is None or scores.mean() > self._peak.mean():
            self._peak = scores

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "weights": self.weights,
            "epoch": self.epoch,
            "score": self.score,
            "last_gain_epoch": self.last_gain_epoch,
            "peak": self._peak,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EpochChoice:
        """The choice of `to_dict`'s values."""
        choice = cls()
        choice.weights, choice.epoch, choice.score = values["weights"], values["epoch"], values["score"]
        choice.last_gain_epoch, choice._peak = values["last_gain_epoch"], values["peak"]
        return choice


def is_worse(scores: Tensor, peak: Tensor) -> bool:
    """Whether `scores` (N,) are below `peak`, of the same images, by as much as a collapse."""
    loss = peak - scores
    error = float(loss.std()) / math.sqrt(len(loss)) if len(loss) > 1 else 0.0
    return float(loss.mean()) > max(COLLAPSE, error)
