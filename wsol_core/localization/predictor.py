"""Localize objects with a trained model: samples in, Localizations out, as a stream of constant memory.

Threads decode images and cut regions; the network runs in the caller's thread. What is written where, and what is
measured, is others' business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsol_core.cores import usable_cores
from wsol_core.data.images import RgbPixels, open_image_small, resize_to_square
from wsol_core.data.normalization import to_images
from wsol_core.devices import autocast, choose_device, choose_precision
from wsol_core.errors import ConfigError, DataError
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import load_model
from wsol_core.localization.refinement import SIDE_PX, final_map
from wsol_core.localization.regions import Calibration, extract_regions
from wsol_core.methods.base import WsolMethod
from wsol_core.records import FloatMap, Localization, Sample, Unreadable

ClassesOf = Callable[[Sample], Sequence[str] | None]  # None: what the model sees
PRESENT = 0.5  # probability from which a class of a multi-label image is localized
MOST_WORKERS = 16


def own_labels(sample: Sample) -> Sequence[str]:
    """A `classes_of` for images whose classes are known: those are localized, whatever the model thinks."""
    return sample.labels


@dataclass(frozen=True, slots=True)
class _Decoded:
    """inputs: (S, S, 3) pixels for each input side. guide: (224, 224, 3)."""

    sample: Sample
    size_wh: tuple[int, int]
    inputs: tuple[RgbPixels, ...]
    guide: RgbPixels


@dataclass(frozen=True, slots=True)
class _Predicted:
    """A batch behind the network. logits: (N, C) and maps: (N, C or 1, h, w) of the readable ones among `decoded`."""

    decoded: Sequence[_Decoded | Unreadable]
    logits: Tensor
    maps: Tensor


class _Inline(Executor):
    """Works at once, in the caller's thread: for one image that takes less time than waking others."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Predictor:
    """A model, ready to localize. One `localize` at a time; the method is put into evaluation mode on the device."""

    def __init__(
        self,
        method: WsolMethod,
        card: ModelCard,
        device: str | torch.device = "auto",
        precision: str = "auto",
        workers: int = -1,
    ) -> None:
        """Args: device, precision: as in TrainConfig. workers: threads besides the network's, -1 for one a core."""
        self.card = card
        self.device = choose_device(str(device))
        self.precision = choose_precision(self.device, precision)
        # Two calls: a device together with a memory format is missing in torch's type hints.
        self.method = method.to(self.device).to(memory_format=torch.channels_last).eval()
        self._index_of = {name: index for index, name in enumerate(card.classes)}
        self._workers = workers if workers > 0 else min(MOST_WORKERS, usable_cores())

    @classmethod
    def open(cls, folder: Path, device: str = "auto", precision: str = "auto") -> Predictor:
        """The predictor of a model folder."""
        chosen = choose_device(device)
        method, card = load_model(folder, str(chosen))
        return cls(method, card, chosen, precision)

    def localize(
        self,
        samples: Iterable[Sample],
        classes_of: ClassesOf | None = None,
        with_maps: bool = False,
        batch_size: int = 32,
        flip: bool = False,
        scales: Sequence[float] = (1.0,),
    ) -> Iterator[Localization | Unreadable]:
        """One result a sample, in their order; an image that cannot be read does not stop the rest.

        Args: classes_of: the classes to localize in a sample; by default the most probable one, or every one from
            probability 0.5 on with a multi-label model. with_maps: keep the maps, 224 x 224. flip, scales: average
            over the mirrored image, and over sides of so many times the model's own.
        Raises: DataError for a class that the model does not know.
        """
        if batch_size < 1 or not scales or min(scales) <= 0:
            raise ConfigError(f"batch_size {batch_size} and scales {tuple(scales)} have to be positive.")
        sides = tuple(dict.fromkeys(max(32, round(self.card.config.side_px * scale / 32) * 32) for scale in scales))
        alone = isinstance(samples, Sized) and len(samples) == 1
        pool = _Inline() if alone else ThreadPoolExecutor(self._workers, thread_name_prefix="localize")
        return self._stream(iter(samples), pool, classes_of, with_maps, batch_size, flip, sides)

    def class_activation_map(self, pixels: RgbPixels, label: str | None) -> tuple[str, float, FloatMap]:
        """Of pixels (h, w, 3), such as a part of an image: a class, its probability, and its map as the method has it.

        The class is `label` if the model knows it, else the most probable one. Averaged with the mirrored pixels.
        """
        size_wh = pixels.shape[1], pixels.shape[0]
        inputs = (resize_to_square(pixels, self.card.config.side_px),)
        seen = self._predict([_Decoded(Sample("", Path(), ()), size_wh, inputs, inputs[0])], flip=True)
        row = self.method.probabilities(seen.logits)[0].tolist()
        index = self._index_of[label] if label in self._index_of else max(range(len(row)), key=row.__getitem__)
        return self.card.classes[index], row[index], self._raw_maps(seen.maps, [(index,)])[0][0]

    def _stream(
        self,
        samples: Iterator[Sample],
        pool: Executor,
        classes_of: ClassesOf | None,
        with_maps: bool,
        batch_size: int,
        flip: bool,
        sides: tuple[int, ...],
    ) -> Iterator[Localization | Unreadable]:
        # On a CPU everything shares the cores, and a network that loses its own to a decoder waits for its slowest
        # thread: there images are decoded between the network's turns, elsewhere also during them.
        ahead = 1 if self.device.type == "cpu" else 2
        decoding: deque[list[Future[_Decoded | Unreadable]]] = deque()

        def fill() -> None:
            while len(decoding) < ahead and (chunk := list(islice(samples, batch_size))):
                decoding.append([pool.submit(_decode, sample, sides) for sample in chunk])

        try:
            before: _Predicted | None = None
            while True:
                fill()
                predicted = None
                if decoding:
                    predicted = self._predict([future.result() for future in decoding.popleft()], flip)
                    fill()
                # One batch late: a GPU is busy with the next one meanwhile.
                if before is not None:
                    yield from self._finish(before, pool, classes_of, with_maps)
                if predicted is None:
                    return
                before = predicted
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    @torch.inference_mode()
    def _predict(self, decoded: Sequence[_Decoded | Unreadable], flip: bool) -> _Predicted:
        """The network's turn; on a GPU it goes on after this returns."""
        readable = [image for image in decoded if isinstance(image, _Decoded)]
        if not readable:
            return _Predicted(decoded, torch.zeros(0), torch.zeros(0))
        logits, maps = [], []
        for pixels in zip(*(image.inputs for image in readable), strict=True):
            images = to_images(np.stack(pixels), self.device)
            for mirrored in (False, True) if flip else (False,):
                with autocast(self.device, self.precision):
                    prediction = self.method(images.flip(3) if mirrored else images)
                logits.append(prediction.logits.float())
                maps.append(prediction.maps.float().flip(3) if mirrored else prediction.maps.float())
        return _Predicted(decoded, torch.stack(logits).mean(0), _mean_map(maps))

    @torch.inference_mode()
    def _finish(
        self, batch: _Predicted, pool: Executor, classes_of: ClassesOf | None, with_maps: bool
    ) -> Iterator[Localization | Unreadable]:
        """Regions and final maps. Only a few images wait at a time, since their masks may be large."""
        readable = [image for image in batch.decoded if isinstance(image, _Decoded)]
        rows = self.method.probabilities(batch.logits).tolist() if readable else []
        asked = [self._asked(image.sample, row, classes_of) for image, row in zip(readable, rows, strict=True)]
        raw = iter(self._raw_maps(batch.maps, asked))
        turns = iter(zip(readable, rows, asked, strict=True))
        results: deque[Future[Localization] | Unreadable] = deque()
        for image in batch.decoded:
            if isinstance(image, Unreadable):
                results.append(image)
            else:
                decoded, row, labels = next(turns)
                results.append(pool.submit(self._localization, decoded, row, labels, next(raw), with_maps))
            if len(results) > 2 * self._workers:
                yield _result(results.popleft())
        while results:
            yield _result(results.popleft())

    def _asked(self, sample: Sample, row: Sequence[float], classes_of: ClassesOf | None) -> tuple[int, ...]:
        """Indices of the classes to localize."""
        given = None if classes_of is None else classes_of(sample)
        if given is None:
            top = max(range(len(row)), key=row.__getitem__)
            present = [index for index, value in enumerate(row) if value >= PRESENT] if self.card.multi_label else []
            return tuple(present) or (top,)
        names = dict.fromkeys(given)
        for name in names:
            if name not in self._index_of:
                known = ", ".join(self.card.classes)
                raise DataError(f"{sample.file}: the model does not know the class {name!r}; it knows {known}.")
        return tuple(self._index_of[name] for name in names)

    def _raw_maps(self, maps: Tensor, asked: Sequence[tuple[int, ...]]) -> list[NDArray[np.float32]]:
        """For each image (A, h, w): the method's maps of the classes asked for."""
        picked = [(row, index) for row, indices in enumerate(asked) for index in indices]
        if not picked:
            return [np.zeros((0, 1, 1), np.float32) for _ in asked]
        shared = maps.shape[1] == 1
        rows = torch.tensor([row for row, _ in picked], device=maps.device)
        columns = torch.tensor([0 if shared else index for _, index in picked], device=maps.device)
        chosen: NDArray[np.float32] = maps[rows, columns].cpu().numpy()
        return np.split(chosen, np.cumsum([len(indices) for indices in asked])[:-1])

    def _localization(
        self,
        image: _Decoded,
        row: Sequence[float],
        asked: Sequence[int],
        raw: NDArray[np.float32],
        with_maps: bool,
    ) -> Localization:
        calibration = Calibration(self.card.score_scale, self.card.score_shift)
        regions, maps = [], {}
        for index, raw_map in zip(asked, raw, strict=True):
            label = self.card.classes[index]
            final = final_map(raw_map, image.guide if self.card.refine_edges else None)
            threshold = self.card.threshold_of(label)
            regions += extract_regions(final, image.size_wh, label, threshold, row[index], calibration=calibration)
            if with_maps:
                maps[label] = final
        scores = dict(zip(self.card.classes, row, strict=True))
        return Localization(image.sample.file, image.size_wh, scores, tuple(regions), maps)


def _decode(sample: Sample, sides: Sequence[int]) -> _Decoded | Unreadable:
    try:
        pixels, size_wh = open_image_small(sample.path, max(SIDE_PX, *sides), sample.file)
    except DataError as error:
        return Unreadable(sample.file, str(error))
    guide = resize_to_square(pixels, SIDE_PX)
    inputs = tuple(guide if side == SIDE_PX else resize_to_square(pixels, side) for side in sides)
    return _Decoded(sample, size_wh, inputs, guide)


def _mean_map(maps: Sequence[Tensor]) -> Tensor:
    """Mean of maps (N, C, h, w) of several sizes, at the largest."""
    if len(maps) == 1:
        return maps[0]
    size = max((tuple(values.shape[2:]) for values in maps), key=lambda hw: hw[0] * hw[1])
    return torch.stack(
        [F.interpolate(values, size=size, mode="bilinear", align_corners=False) for values in maps]
    ).mean(0)


def _result(waiting: Future[Localization] | Unreadable) -> Localization | Unreadable:
    return waiting if isinstance(waiting, Unreadable) else waiting.result()
