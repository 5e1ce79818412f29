"""Stage "separate" of Boxstrap's method: an instance head learns from known objects and from composites of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from wsol_core.data.batch import Batch
from wsol_core.data.composites import Scene
from wsol_core.data.normalization import to_images
from wsol_core.methods.base import LossTerms
from wsol_core.methods.instance_losses import box_loss, centre_loss, object_targets
from wsol_core.methods.pseudo_objects import training_scenes
from wsol_core.networks.instance_head import InstanceHead

BOX_WEIGHT = 2.0  # of the boxes' loss, beside the centres'


def separation_terms(
    batch: Batch,
    maps: Tensor,
    features: Sequence[Tensor],
    backbone: Callable[[Tensor], Sequence[Tensor]],
    head: InstanceHead,
) -> LossTerms:
    """The head's loss on the batch, in which some images get objects of others; no gradient leaves the head.

    Args: maps: (B, C, h, w) in [0, 1], the method's maps of all classes. features: the batch's, of all four stages.
    """
    scenes, changed = training_scenes(batch, maps)
    centres, boxes = head(_with_changed(features, scenes, changed, backbone))
    targets = object_targets(scenes, centres.shape[-1], centres.device)
    return {"centres": centre_loss(centres, targets), "boxes": BOX_WEIGHT * box_loss(boxes, targets)}


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
