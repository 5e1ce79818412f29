"""Stage "localize" of Boxstrap's method: a map learns from graph cuts of its teacher, and later of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wsol_core.data.batch import Batch
from wsol_core.methods.base import LossTerms
from wsol_core.methods.losses import dice_loss, pairwise_loss, region_loss
from wsol_core.methods.pseudo_masks import pseudo_masks
from wsol_core.networks.feature_pyramid import resized
from wsol_core.ops.maps import min_max_tensor
from wsol_core.records import NO_REGION

# docs/methods.md says what changing each number did.
PAIRS_RAMP = 10  # the pairwise term of drawn boxes reaches its weight after a tenth of the stage, as in BoxInst
STUDENT_FROM, STUDENT_FULL, STUDENT_MOST = 0.3, 0.7, 0.25  # of the stage: the student's share of its teacher
CUT_SHARE = 0.75  # of the pseudo mask; the soft rest keeps what cuts lose, such as the inside of a wheel


def self_training_terms(batch: Batch, logits: Tensor, teacher: Tensor, progress: float) -> LossTerms:
    """Pseudo masks for images that nobody corrected, people's regions for the others.

    Args: logits: (B, h, w) of the target class's map. teacher: (B, h', w') in [0, 1], without gradient.
    """
    student = logits.sigmoid()
    weak = batch.region_kind == NO_REGION
    # Asked before the cuts begin: a GPU that is asked anything afterwards has to end them first.
    nobody_drew, somebody_did_not = bool(weak.all()), bool(weak.any())
    pseudo = _targets(batch, student.detach(), teacher, progress)
    if nobody_drew:
        loss = F.binary_cross_entropy_with_logits(logits, pseudo)
        return {"pseudo": loss, "overlap": dice_loss(student, pseudo), "regions": student.sum() * 0}
    pairs = min(1.0, PAIRS_RAMP * progress)
    own = F.binary_cross_entropy_with_logits(logits[weak], pseudo[weak]) if somebody_did_not else logits.sum() * 0
    return {
        "pseudo": own,
        "overlap": dice_loss(student[weak], pseudo[weak]),
        "regions": region_loss(student, batch.region, batch.region_kind, batch.boxed_targets()),
        "pairs": pairs * pairwise_loss(student[~weak], batch.images[~weak], batch.region[~weak]),
    }


@torch.no_grad()
def _targets(batch: Batch, student: Tensor, teacher: Tensor, progress: float) -> Tensor:
    share = STUDENT_MOST * min(1.0, max(0.0, (progress - STUDENT_FROM) / (STUDENT_FULL - STUDENT_FROM)))
    size_hw = student.shape[1:]
    mixed = torch.lerp(min_max_tensor(resized(teacher, size_hw)), min_max_tensor(student), share)
    return softened_cuts(batch.images, mixed, size_hw)


def softened_cuts(images: Tensor, maps: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Targets (B, *size_hw) in [0, 1]: graph cuts of maps (B, h, w) with what is left of the maps themselves."""
    return torch.lerp(resized(maps, size_hw), resized(pseudo_masks(images, maps), size_hw), CUT_SHARE)
