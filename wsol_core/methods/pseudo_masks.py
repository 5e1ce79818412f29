"""Pseudo masks for self-training: a teacher's soft maps, snapped to the images by graph cuts. No network here.

On a CPU OpenCV cuts image by image, in threads; on a GPU all images are cut there at once, so that it never waits.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wsol_core.cores import core_pool
from wsol_core.data.normalization import mean_and_std
from wsol_core.networks.feature_pyramid import resized
from wsol_core.ops.batched_grabcut import batched_graph_cuts
from wsol_core.ops.grabcut import graph_cuts
from wsol_core.ops.maps import min_max_tensor

CUT_STRIDE = 2  # pixels of an image to a side of the cut's: half the side takes a quarter of the time


def to_pixels(images: Tensor) -> Tensor:
    """Normalised images (B, 3, h, w) back to RGB in [0, 255], uint8 (B, h, w, 3)."""
    mean, std = (each.view(1, 3, 1, 1) for each in mean_and_std(images.device))
    return ((images.float() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


@torch.no_grad()
def pseudo_masks(images: Tensor, maps: Tensor) -> Tensor:
    """Masks (B, S/2, S/2), 0 or 1, that fit both the soft maps and the images' edges.

    Args: images: (B, 3, S, S), normalised. maps: (B, h, w) in [0, 1]; their min-max stretch is cut.
    """
    small = F.avg_pool2d(images.float(), CUT_STRIDE)
    if not len(small):
        return small[:, 0]
    soft = resized(min_max_tensor(maps.float()), small.shape[2:])
    return cut_where_they_lie(to_pixels(small), soft)


def cut_where_they_lie(pixels: Tensor, maps: Tensor) -> Tensor:
    """Cuts (B, h, w) of pixels (B, h, w, 3) by maps (B, h, w)."""
    if pixels.is_cuda:
        return batched_graph_cuts(pixels.permute(0, 3, 1, 2), maps)
    return torch.from_numpy(np.stack(graph_cuts(list(pixels.contiguous().numpy()), list(maps.numpy()), core_pool())))
