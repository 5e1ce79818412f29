"""One training step's images and labels, as the loader makes them and methods read them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """One training step's images. S = side of the image, T = S // 4, C classes, K background images.

    images: (B, 3, S, S) float, ImageNet mean and standard deviation removed.
    labels: (B, C) float, 1 where the image carries the class.
    target: (B,) long, one of the image's classes, drawn anew each epoch; maps are trained for it.
    region_kind: (B,) long, what `region` holds: NO_REGION, BOX_REGION or MASK_REGION.
    region: (B, T, T) float in [0, 1], union of the target class's corrected boxes or masks; zeros without any.
    backgrounds: (K, 3, S, S) images without any object, or None.
    """

    images: Tensor
    labels: Tensor
    target: Tensor
    region_kind: Tensor
    region: Tensor
    backgrounds: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`, images in channels_last."""

        def channels_last(x: Tensor) -> Tensor:
            return x.to(device, non_blocking=True, memory_format=torch.channels_last)

        return Batch(
            images=channels_last(self.images),
            labels=self.labels.to(device, non_blocking=True),
            target=self.target.to(device, non_blocking=True),
            region_kind=self.region_kind.to(device, non_blocking=True),
            region=self.region.to(device, non_blocking=True),
            backgrounds=None if self.backgrounds is None else channels_last(self.backgrounds),
        )
