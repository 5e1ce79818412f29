"""One training step's images and labels, as the loader makes them and methods read them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from wsol_core.records import BOX_REGION


@dataclass(frozen=True, slots=True)
class CorrectedObjects:
    """The N objects that people drew in a batch's images, each for itself. S = side of the image.

    image, label: (N,) long, the image's place in the batch, and the class.
    boxes: (N, 4) float xyxy in shares of the image's sides.
    masks: (N, S / 2, S / 2) float in [0, 1]; zeros where `has_mask` (N,) is False.
    """

    image: Tensor
    label: Tensor
    boxes: Tensor
    masks: Tensor
    has_mask: Tensor

    def to(self, device: torch.device) -> CorrectedObjects:
        """The same objects on `device`."""
        return CorrectedObjects(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))

    def of_images(self, first: int, last: int) -> CorrectedObjects:
        """Those of images `first` to `last` (excluded), which are counted from 0 again."""
        chosen = (self.image >= first) & (self.image < last)
        kept = CorrectedObjects(*(getattr(self, f.name)[chosen] for f in fields(self)))
        return CorrectedObjects(kept.image - first, kept.label, kept.boxes, kept.masks, kept.has_mask)


@dataclass(frozen=True, slots=True)
class Batch:
    """One training step's images. S = side of the image, T = S // 4, C classes, K background images.

    images: (B, 3, S, S) float, ImageNet mean and standard deviation removed.
    labels: (B, C) float, 1 where the image carries the class.
    target: (B,) long, one of the image's classes, drawn anew each epoch; maps are trained for it.
    region_kind: (B,) long, what `region` holds: NO_REGION, BOX_REGION or MASK_REGION.
    region: (B, T, T) float in [0, 1], union of the target class's corrected boxes or masks; zeros without any.
    backgrounds: (K, 3, S, S) images without any object, or None.
    objects: the corrected objects of all classes; None is the same as no object.
    finished: (B, C) bool, the classes all of whose objects are among `objects`; None where that is none.
    """

    images: Tensor
    labels: Tensor
    target: Tensor
    region_kind: Tensor
    region: Tensor
    backgrounds: Tensor | None = None
    objects: CorrectedObjects | None = None
    finished: Tensor | None = None

    def boxed_targets(self) -> tuple[Tensor, Tensor] | None:
        """Images (N,) and boxes (N, 4) of the target class's objects in images of BOX_REGION; None without any."""
        if self.objects is None:
            return None
        image = self.objects.image
        wanted = (self.region_kind[image] == BOX_REGION) & (self.objects.label == self.target[image])
        return (image[wanted], self.objects.boxes[wanted]) if wanted.any() else None

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
            objects=None if self.objects is None else self.objects.to(device),
            finished=None if self.finished is None else self.finished.to(device, non_blocking=True),
        )
