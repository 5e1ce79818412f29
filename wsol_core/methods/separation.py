"""Stage "separate" of Boxstrap's method: an instance head learns from known objects and from composites of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsol_core.data.batch import Batch
from wsol_core.data.composites import PlacedObject, Scene
from wsol_core.data.normalization import to_images
from wsol_core.methods.base import LossTerms
from wsol_core.methods.instance_losses import box_loss, centre_loss, object_targets
from wsol_core.methods.melted_parts import FURTHER, LEARNED, LOOKS, agreements, doubted, kept, share_left_out
from wsol_core.methods.pseudo_objects import PartsJudge, training_scenes
from wsol_core.networks.instance_head import InstanceHead

BOX_WEIGHT = 2.0  # of the boxes' loss, beside the centres'


def separation_terms(
    batch: Batch,
    maps: Tensor,
    features: Sequence[Tensor],
    backbone: Callable[[Tensor], Sequence[Tensor]],
    head: InstanceHead,
    doubts: Tensor,
    progress: float,
) -> LossTerms:
    """The head's loss on the batch, in which some images get objects of others; no gradient leaves the head.

    Args: maps: (B, C, h, w) in [0, 1], the method's maps of all classes. features: the batch's, of all four stages.
        doubts: (2,), how many parts of maps the head has doubted and judged in this stage; those of the batch are
        added. progress: of the stage, in [0, 1).
    """
    judge = _judge(batch, features, backbone, head, doubts, progress)
    scenes, changed = training_scenes(batch, maps, judge)
    centres, boxes = head(_with_changed(features, scenes, changed, backbone))
    targets = object_targets(scenes, centres.shape[-1], centres.device)
    return {"centres": centre_loss(centres, targets), "boxes": BOX_WEIGHT * box_loss(boxes, targets)}


def _judge(
    batch: Batch,
    features: Sequence[Tensor],
    backbone: Callable[[Tensor], Sequence[Tensor]],
    head: InstanceHead,
    doubts: Tensor,
    progress: float,
) -> PartsJudge | None:
    """Leaves out parts that melted, once it is known how many there are of them; see melted_parts.py."""
    begin, end = LOOKS
    counts = begin <= progress < end and head.steps_learned >= LEARNED
    share = share_left_out(*doubts.tolist()) if progress >= end else 0.0
    if not counts and not share:
        return None
    near = head.judged_boxes(features).cpu().numpy()
    further = _from_further_away(batch.images, backbone, head).cpu().numpy() if counts else None

    def judge(images: Sequence[int], parts: Sequence[PlacedObject]) -> NDArray[np.bool_]:
        agreed = agreements(near, images, parts)
        if further is not None:
            many = doubted(agreed, agreements(further, images, parts))
            doubts.add_(doubts.new_tensor([many, len(parts)]))
        return kept(agreed, share)

    return judge


@torch.no_grad()
def _from_further_away(images: Tensor, backbone: Callable[[Tensor], Sequence[Tensor]], head: InstanceHead) -> Tensor:
    """The boxes (B, 4, h, w) that the head predicts in smaller images, whose sides keep a whole number of cells."""
    side = 16 * max(1, round(FURTHER * images.shape[-1] / 16))
    smaller = F.interpolate(images.float(), size=(side, side), mode="bilinear", align_corners=False)
    return head.judged_boxes(backbone(smaller), side / images.shape[-1])


@torch.no_grad()
def _with_changed(
    features: Sequence[Tensor],
    scenes: Sequence[Scene],
    changed: Sequence[int],
    backbone: Callable[[Tensor], Sequence[Tensor]],
) -> list[Tensor]:
    """Features of all scenes: those of images that stay as they are known already."""
    if not changed:
        return list(features)
    images = to_images(np.stack([scenes[place].pixels for place in changed]), features[0].device)
    result = []
    for known, new in zip(features, backbone(images), strict=True):
        added = known.new_zeros((len(scenes) - len(known), *known.shape[1:]))
        whole = torch.cat([known, added]).to(memory_format=torch.channels_last)
        whole[list(changed)] = new
        result.append(whole)
    return result
