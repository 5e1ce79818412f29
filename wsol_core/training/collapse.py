"""Whether a model has collapsed, from its scores and maps of some images. Pure functions; no boxes are looked at.

A collapse is a result that says nothing: classes told apart no better than by one answer for all, maps that are empty,
full or the same everywhere, or equal maps of different classes in one image. A poor model is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from wsol_core.ops.maps import min_max_tensor

FEWEST_IMAGES = 8  # of all, or of a class, before its scores say anything
NEAR_CHANCE = 0.2  # of the way from one answer for all to no mistake
EMPTY_AREA, FULL_AREA = 0.005, 0.9  # mean of a map
FAINT = 0.25  # an empty map has no peak either, while that of a tiny object has one
FLAT = 0.05  # between a map's least and highest value
SEVERAL, ALIKE = 5, 0.02  # images with several classes; mean difference of their classes' normalised maps

ADVICE = "Label more images, draw boxes in a few of them, or train again with another seed."


class Fault(StrEnum):
    """In what a model has collapsed."""

    CLASSES = "classes"
    EMPTY = "empty maps"
    FULL = "full maps"
    FLAT = "flat maps"
    ALIKE = "maps alike"


@dataclass(frozen=True, slots=True)
class Collapse:
    """A fault, and a sentence with its figure."""

    fault: Fault
    sentence: str


@dataclass(frozen=True, slots=True)
class Examined:
    """What a model predicts for N images of C classes, which show P times one of the classes.

    logits: (N, C) class scores before sigmoid or softmax. labels: (N, C), 1 where the image has the class. maps:
    (P, h, w) activation maps in [0, 1] of the images' own classes; one map an image where it serves every class.
    image_of: (P,) the image that a map is of.
    """

    logits: Tensor
    labels: Tensor
    maps: Tensor
    image_of: Tensor


def find_collapse(examined: Examined, classes: Sequence[str]) -> list[Collapse]:
    """All faults of the predictions; none where there are too few images to tell. `classes` are the C names."""
    if len(examined.labels) < FEWEST_IMAGES:
        return []
    maps = examined.maps.float().nan_to_num()  # a broken map counts as an empty one
    found = (
        unlearned_classes(examined.logits.float().nan_to_num(), examined.labels, classes),
        useless_maps(maps),
        equal_maps(maps, examined.image_of),
    )
    return [collapse for collapse in found if collapse is not None]


def unlearned_classes(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> Collapse | None:
    """Accuracy near that of one answer for all, or a class that is never the answer; see `Examined`.

    An image is right where the class of its highest score is one of its own. The accuracy is the mean over the classes,
    so that a frequent one does not hide the others.
    """
    if len(classes) == 1:
        return None  # its score carries no information
    answers, labels = logits.argmax(1), labels.float()
    counts = labels.sum(0)
    shown = counts > 0
    right = labels.gather(1, answers[:, None])[:, 0]
    accuracy = float(((labels * right[:, None]).sum(0) / counts)[shown].mean())
    together = (labels.T @ labels / counts[:, None])[shown]  # (shown, C): how often images of a class have another
    chance = float(together.mean(0).max())
    if chance < 1 and accuracy - chance < NEAR_CHANCE * (1 - chance):
        return Collapse(
            Fault.CLASSES,
            f"The classes are not learned: {100 * accuracy:.0f} % of the images are classified right, and one answer "
            f"for all would be right for {100 * chance:.0f} %. {ADVICE}",
        )
    answered = torch.bincount(answers, minlength=len(classes))
    if bool((labels.sum(1) > 1).any()):  # then each class is an answer of its own
        answered = answered + (logits > 0).sum(0)
    never = ((answered == 0) & (counts >= FEWEST_IMAGES)).nonzero()[:, 0].tolist()
    if not never:
        return None
    name, count = classes[never[0]], int(counts[never[0]])
    return Collapse(
        Fault.CLASSES, f"Class {name} is not learned: none of {count} images of it is seen as such. {ADVICE}"
    )


def useless_maps(maps: Tensor) -> Collapse | None:
    """Maps (P, h, w) in [0, 1] that are empty, full or flat on average."""
    area, peaks, lows = float(maps.mean()), maps.amax((1, 2)), maps.amin((1, 2))
    covers = f"they cover {100 * area:.1f} % of an image. {ADVICE}"
    if area < EMPTY_AREA and float(peaks.mean()) < FAINT:
        return Collapse(Fault.EMPTY, f"The maps are empty: {covers}")
    if area > FULL_AREA:
        return Collapse(Fault.FULL, f"The maps are full: {covers}")
    contrast = float((peaks - lows).mean())
    if contrast < FLAT:
        return Collapse(
            Fault.FLAT, f"The maps are the same everywhere: their contrast is {contrast:.3f} of 1. {ADVICE}"
        )
    return None


def equal_maps(maps: Tensor, image_of: Tensor) -> Collapse | None:
    """Equal maps (P, h, w) of different classes in the same image; `image_of` (P,) says which."""
    differences = []
    for image in dict.fromkeys(image_of.tolist()):
        own = min_max_tensor(maps[image_of == image])
        if len(own) > 1:
            differences.append(float((own[1:] - own[:1]).abs().mean()))
    if len(differences) < SEVERAL or (difference := sum(differences) / len(differences)) >= ALIKE:
        return None
    return Collapse(
        Fault.ALIKE,
        f"The maps of different classes are alike: in images with several they differ by {difference:.3f}. {ADVICE}",
    )
