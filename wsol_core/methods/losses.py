"""Every loss term as a pure function of tensors, with its equation and source.

The methods weight the terms and decide where their gradients go. All terms are computed in float32, whatever precision
the network runs in, and are 0 of an empty batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wsol_core.records import BOX_REGION, MASK_REGION

EPS = 1e-8


def classification_loss(logits: Tensor, labels: Tensor, multi_label: bool) -> Tensor:
    """Cross-entropy of (B, C) logits and multi-hot (B, C) labels: softmax over classes, or sigmoid per class.

    One class alone competes with nothing under softmax, so it is always judged by sigmoid.
    """
    if not len(logits):
        return logits.float().sum()
    if multi_label or logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits.float(), labels.float())
    return F.cross_entropy(logits.float(), labels.float() / labels.sum(1, keepdim=True).clamp(min=1))


def drawn_class_loss(logits: Tensor, labels: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each image's drawn class against the classes that the image does not have; softmax.

    BAS's segmentation variant, arXiv:2309.12943. The image's other classes are on neither side: what a map of A shows
    of B is neither rewarded nor punished.

    Args: logits: (B, C), seen through the map of the class `target` (B,). labels: (B, C), 1 where the image has it.
    """
    if not len(logits):
        return logits.float().sum()
    others = labels.bool() & ~F.one_hot(target, logits.shape[1]).bool()
    return F.cross_entropy(logits.float().masked_fill(others, -torch.inf), target)


def background_activation_loss(background_score: Tensor, full_score: Tensor, constant: float = 1.0) -> Tensor:
    """How much of the class the background still explains.

    BAS, Wu et al., CVPR 2022, arXiv:2112.00580, L_BAS with the ReLU of the IJCV version. M the foreground map:
        L = mean_i relu(s_bg_i) / (relu(s_i) + EPS), and the constant where s_bg_i > s_i
    Args: background_score: (B,) logits of the target class seen through 1 - M.
          full_score: (B,) the same logits without a mask; a reference, so it gets no gradient.
          constant: 1 or 0; it has no gradient, so it changes what is logged and not what is learned.
    Returns: scalar in [0, 1]; 0 when the background alone says nothing about the class.
    """
    if not len(background_score):
        return background_score.float().sum()
    background, full = background_score.float().relu(), full_score.detach().float().relu()
    ratio = background / (full + EPS)
    # An untrained map can score above the whole image; a constant keeps it from driving the update.
    return torch.where(background > full, torch.full_like(ratio, constant), ratio).mean()


def weighted_entropy(maps: Tensor, mu: float = 0.5, sigma: float = 0.1, eps: float = 1e-8) -> Tensor:
    """Pushes undecided pixels to a side and leaves decided ones alone.

    ORNet, Xie et al., ICCV 2021, arXiv:2110.05741, mean over batch and pixels of
        -exp(-(p - mu)^2 / (2 sigma^2)) * (p ln(p + eps) + (1 - p) ln(1 - p + eps))
    """
    if not maps.numel():
        return maps.float().sum()
    p = maps.float()
    weight = torch.exp(-((p - mu) ** 2) / (2 * sigma**2))
    return -(weight * (p * (p + eps).log() + (1 - p) * (1 - p + eps).log())).mean()


def background_emptiness_loss(maps: Tensor) -> Tensor:
    """Mean of maps (any shape, in [0, 1]) made of images without objects: all of them have to be empty."""
    return maps.float().mean() if maps.numel() else maps.float().sum()


def area_loss(maps: Tensor) -> Tensor:
    """BAS's area constraint L_ac, the mean of maps (B, h, w) in [0, 1]; as ORNet's first area term."""
    return maps.float().mean() if maps.numel() else maps.float().sum()


def confusable_area_loss(feature_maps: Tensor, probabilities: Tensor, spared: int = 3, most: int = 25) -> Tensor:
    """ORNet's second area term: pushes down the maps of classes that the evaluator might mistake the image for.

    L = sum_{j = spared + 1}^{K} mean_{i, u} f_{c_j}(u), c_1, c_2, ... the classes by falling probability, image by
    image, K = min(most, C); 0 where C <= spared, since all classes are spared then.

    Args: feature_maps: (B, C, h, w). probabilities: (B, C) of the evaluator; ranks only, so no gradient.
    """
    ranked = probabilities.detach().argsort(1, descending=True)[:, spared : min(most, probabilities.shape[1])]
    if not ranked.numel():
        return feature_maps.float().sum() * 0
    means = feature_maps.float().mean((2, 3))
    return means.gather(1, ranked).mean(0).sum()


def mask_alignment_loss(class_map: Tensor, foreground: Tensor) -> Tensor:
    """WSL-BG (reconstruction): mean squared distance of maps (B, h, w) to a foreground without gradient."""
    if not class_map.numel():
        return class_map.float().sum()
    return (class_map.float() - foreground.detach().float()).square().mean()


def dice_loss(maps: Tensor, masks: Tensor) -> Tensor:
    """mean_i 1 - (2 <m_i, t_i> + 1) / (|m_i|^2 + |t_i|^2 + 1) of maps and masks (B, ...) in [0, 1]."""
    if not len(maps):
        return maps.float().sum()
    m, t = maps.float().flatten(1), masks.float().flatten(1)
    return (1 - (2 * (m * t).sum(1) + 1) / (m.square().sum(1) + t.square().sum(1) + 1)).mean()


def projection_loss(maps: Tensor, boxes: Tensor) -> Tensor:
    """Dice of both axes' maxima of maps and filled boxes (B, h, w). BoxInst, CVPR 2021, arXiv:2012.02310."""
    return dice_loss(maps.amax(1), boxes.amax(1)) + dice_loss(maps.amax(2), boxes.amax(2))


def outside_loss(maps: Tensor, boxes: Tensor, eps: float = 1e-6) -> Tensor:
    """-mean ln(1 - m) over the pixels outside the boxes (B, h, w): a box says for sure where the object is not."""
    outside = (boxes == 0).float()
    return -(outside * (1 - maps.float()).clamp(min=eps).log()).sum() / outside.sum().clamp(min=1)


def region_loss(
    foreground_map: Tensor, region: Tensor, region_kind: Tensor, each: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """What people drew: binary cross-entropy and dice for masks; projection and outside terms for boxes; 0 of none.

    Args:
        foreground_map: (B, h, w) in [0, 1].
        region: (B, T, T) in [0, 1].
        region_kind: (B,), see `Batch`.
        each: images (N,) and boxes (N, 4) xyxy in shares of all objects that the boxes of `region` unite. With them
            the map has to reach the sides of every object, without them those of their union.
    """
    maps = foreground_map.float().clamp(1e-6, 1 - 1e-6)
    target = F.interpolate(region[:, None].float(), size=maps.shape[1:], mode="area")[:, 0]
    masked, boxed = region_kind == MASK_REGION, region_kind == BOX_REGION
    total = maps.sum() * 0
    if masked.any():
        total = total + F.binary_cross_entropy(maps[masked], target[masked]) + dice_loss(maps[masked], target[masked])
    if boxed.any():
        # A cell that a box touches anywhere may hold the object; only wholly uncovered cells are certain.
        boxes = (target[boxed] > 0).float()
        total = total + outside_loss(maps[boxed], boxes)
        total = total + (projection_loss(maps[boxed], boxes) if each is None else _projection_of_each(maps, *each))
    return total


def _projection_of_each(maps: Tensor, image: Tensor, boxes: Tensor) -> Tensor:
    h, w = maps.shape[1:]
    filled = _touched(boxes[:, 1], boxes[:, 3], h)[:, :, None] * _touched(boxes[:, 0], boxes[:, 2], w)[:, None, :]
    return projection_loss(maps[image] * filled, filled)


def _touched(low: Tensor, high: Tensor, cells: int) -> Tensor:
    """(N, cells): 1 for cells that [low, high) in shares touches, else 0."""
    edges = torch.arange(cells, device=low.device)
    return ((edges + 1 > low[:, None] * cells) & (edges < high[:, None] * cells)).float()


def pairwise_loss(maps: Tensor, images: Tensor, region: Tensor, dilation: int = 2, similar: float = 0.3) -> Tensor:
    """BoxInst's pairwise term: neighbours of similar colour inside a region belong to the same side.

    L = mean over edges of -ln(m_i m_j + (1 - m_i)(1 - m_j)), edges to the 8 neighbours at `dilation`, kept where
    exp(-|c_i - c_j| / 2) >= similar and i lies inside the region. Colours are the normalised RGB of the images
    (BoxInst: LAB), so that the term needs no colour conversion on the device.

    Args: maps: (B, h, w) in [0, 1]. images: (B, 3, S, S). region: (B, T, T), non-zero inside.
    """
    if not len(maps):
        return maps.float().sum()
    size = maps.shape[1:]
    colours = F.interpolate(images.float(), size=size, mode="area")
    inside = F.interpolate(region[:, None].float(), size=size, mode="area")[:, 0] > 0
    m = maps.float()
    total, edges = m.sum() * 0, m.new_zeros(())
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here, there = _shifted(m, dy * dilation, dx * dilation)
        colour, neighbour = _shifted(colours, dy * dilation, dx * dilation)
        kept = (torch.exp(-0.5 * (colour - neighbour).norm(dim=1)) >= similar).float()
        kept = kept * _shifted(inside, dy * dilation, dx * dilation)[0]
        agree = here * there + (1 - here) * (1 - there)
        total = total - (kept * agree.clamp(min=1e-6).log()).sum()
        edges = edges + kept.sum()
    return total / edges.clamp(min=1)


def _shifted(x: Tensor, dy: int, dx: int) -> tuple[Tensor, Tensor]:
    """Views of the last two axes, the second moved by (dy, dx) against the first; dy >= 0."""
    h, w = x.shape[-2:]
    left, right = max(0, -dx), w - max(0, dx)
    return x[..., : h - dy, left:right], x[..., dy:, left + dx : right + dx]
