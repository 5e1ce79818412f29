"""One batch behind the network: decode image files, run the method on them, average its views, pick maps of classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsol_core.data.images import RgbPixels, open_image_small, resize_to_square
from wsol_core.data.normalization import to_images
from wsol_core.devices import autocast
from wsol_core.errors import DataError
from wsol_core.localization.instances import ObjectFields
from wsol_core.localization.refinement import CUT_SIDE_PX, SIDE_PX
from wsol_core.methods.base import ObjectMaps, WsolMethod
from wsol_core.ops.batched_grabcut import batched_graph_cuts
from wsol_core.ops.maps import competing, min_max_tensor
from wsol_core.records import Sample, Unreadable


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """inputs: (S, S, 3) pixels for each input side. pixels: (224, 224, 3), at the side of final maps."""

    sample: Sample
    size_wh: tuple[int, int]
    inputs: tuple[RgbPixels, ...]
    pixels: RgbPixels


@dataclass(frozen=True, slots=True)
class BatchOutput:
    """What the network says of a batch, averaged over views.

    probabilities: (N, C) and maps: (N, C or 1, h, w) of the N readable ones among `decoded`.
    objects: of the same images, where the method tells objects apart. compete: see `competing`.
    """

    decoded: Sequence[DecodedImage | Unreadable]
    probabilities: Tensor
    maps: Tensor
    objects: ObjectMaps | None = None
    compete: bool = False

    def object_fields(self) -> Sequence[ObjectFields | None]:
        """For each readable image, where objects are; None where the method does not tell them apart."""
        if self.objects is None:
            return [None] * len(self.probabilities)
        centres, boxes = self.objects.centres.cpu().numpy(), self.objects.boxes.cpu().numpy()
        return [ObjectFields(*fields, self.objects.least_centre) for fields in zip(centres, boxes, strict=True)]

    @property
    def on_gpu(self) -> bool:
        """Whether the maps lie on a GPU, where they are cut faster than on the CPU."""
        return self.maps.is_cuda

    def raw_maps(self, asked: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """For each readable image (A, h, w): the method's maps of the A class indices asked for."""
        if not any(asked):
            return [np.zeros((0, 1, 1), np.float32) for _ in asked]
        return _image_by_image(self._picked(asked)[0], asked)

    def edge_cuts(self, asked: Sequence[Sequence[int]]) -> list[NDArray[np.float32]] | list[None]:
        """For each readable image (A, 112, 112): the graph cuts of `raw_maps`; None where the CPU is to make them."""
        if not (self.on_gpu and any(asked)):
            return [None for _ in asked]
        maps, rows = self._picked(asked)
        pixels = np.stack([image.pixels for image in self.decoded if isinstance(image, DecodedImage)])
        images = torch.from_numpy(pixels).to(maps.device, non_blocking=True).permute(0, 3, 1, 2)
        return _image_by_image(cuts_at_edges(maps, images[rows]), asked)

    def _picked(self, asked: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """The maps (P, h, w) of all classes asked for, image by image, and the rows (P,) of their images."""
        picked = [(row, index) for row, indices in enumerate(asked) for index in indices]
        shared = self.maps.shape[1] == 1
        rows = torch.tensor([row for row, _ in picked], device=self.maps.device)
        columns = torch.tensor([0 if shared else index for _, index in picked], device=self.maps.device)
        maps = self.maps[rows, columns]
        return (competing(maps, rows, len(self.maps)) if self.compete and not shared else maps), rows


def _image_by_image(values: Tensor, asked: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
    chosen: NDArray[np.float32] = values.cpu().numpy()
    return np.split(chosen, np.cumsum([len(indices) for indices in asked])[:-1])


def cuts_at_edges(maps: Tensor, images: Tensor) -> Tensor:
    """Graph cuts (P, 112, 112) of a method's maps, all at once on their device, as `refinement` makes them one by one.

    Args: maps: (P, h, w). images: (P, 3, 224, 224) RGB, uint8.
    """
    size = (SIDE_PX, SIDE_PX)
    full = F.interpolate(maps[:, None].float(), size=size, mode="bicubic", align_corners=False)
    stride = SIDE_PX // CUT_SIDE_PX
    small = F.avg_pool2d(min_max_tensor(full), stride)[:, 0]
    pixels = F.avg_pool2d(images.float(), stride).add_(0.5).floor_()  # rounded as OpenCV does
    return batched_graph_cuts(pixels, small)


class InlineExecutor(Executor):
    """Works at once, in the caller's thread: for one image that takes less time than waking others."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future that is done already."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def decode(sample: Sample, sides: Sequence[int]) -> DecodedImage | Unreadable:
    """The sample's image at each of the network's input `sides`, decoded once."""
    try:
        pixels, size_wh = open_image_small(sample.path, max(SIDE_PX, *sides), sample.file)
    except DataError as error:
        return Unreadable(sample.file, str(error))
    small = resize_to_square(pixels, SIDE_PX)
    inputs = tuple(small if side == SIDE_PX else resize_to_square(pixels, side) for side in sides)
    return DecodedImage(sample, size_wh, inputs, small)


@torch.inference_mode()
def run_network(
    method: WsolMethod,
    decoded: Sequence[DecodedImage | Unreadable],
    device: torch.device,
    precision: torch.dtype,
    flip: bool,
) -> BatchOutput:
    """One pass for each input side, and one more of the mirrored images with `flip`.

    On a GPU the work goes on after this returns.
    """
    readable = [image for image in decoded if isinstance(image, DecodedImage)]
    if not readable:
        return BatchOutput(decoded, torch.zeros(0), torch.zeros(0))
    logits, maps, objects = [], [], []
    for pixels in zip(*(image.inputs for image in readable), strict=True):
        images = to_images(np.stack(pixels), device)
        for mirrored in (False, True) if flip else (False,):
            with autocast(device, precision):
                prediction = method(images.flip(3) if mirrored else images)
            logits.append(prediction.logits.float())
            maps.append(prediction.maps.float().flip(3) if mirrored else prediction.maps.float())
            if prediction.objects is not None:
                objects.append(prediction.objects.mirrored() if mirrored else prediction.objects)
    probabilities = method.probabilities(torch.stack(logits).mean(0))
    return BatchOutput(decoded, probabilities, _mean_map(maps), _mean_objects(objects), method.maps_compete)


def _mean_objects(objects: Sequence[ObjectMaps]) -> ObjectMaps | None:
    if not objects:
        return None
    centres, boxes = ([getattr(each, name).float() for each in objects] for name in ("centres", "boxes"))
    return ObjectMaps(_mean_map(centres), _mean_map(boxes), objects[0].least_centre)


def _mean_map(maps: Sequence[Tensor]) -> Tensor:
    """Mean of maps (N, C, h, w) of several sizes, at the largest."""
    if len(maps) == 1:
        return maps[0]
    size = max((tuple(values.shape[2:]) for values in maps), key=lambda hw: hw[0] * hw[1])
    return torch.stack(
        [F.interpolate(values, size=size, mode="bilinear", align_corners=False) for values in maps]
    ).mean(0)
