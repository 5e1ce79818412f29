"""Localize objects with a trained model: samples in, Localizations out, as a stream of constant memory.

Threads decode images and extract regions; the network runs in the caller's thread. See predictions_file.py for
writing the results, and evaluation/ for measuring them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from wsol_core.cores import usable_cores
from wsol_core.data.images import RgbPixels, resize_to_square
from wsol_core.devices import choose_device, choose_precision
from wsol_core.errors import ConfigError, DataError
from wsol_core.localization.closer_regions import from_closer_up
from wsol_core.localization.image_maps import ImageMaps, RawMap
from wsol_core.localization.image_regions import uncalibrated_regions
from wsol_core.localization.inference import BatchOutput, DecodedImage, InlineExecutor, decode, run_network
from wsol_core.localization.instances import ObjectFields
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import load_model
from wsol_core.localization.refinement import final_maps
from wsol_core.localization.regions import with_margin
from wsol_core.methods.base import WsolMethod
from wsol_core.records import Localization, Region, Sample, Unreadable

ClassesOf = Callable[[Sample], Sequence[str] | None]  # None: what the model sees
PRESENT = 0.5  # probability from which a class of a multi-label image is localized
MOST_WORKERS = 16
T = TypeVar("T")


def own_labels(sample: Sample) -> Sequence[str]:
    """A `classes_of` for images whose classes are known: those are localized, whatever the model thinks."""
    return sample.labels


class Predictor:
    """A trained model, ready to localize.

    Only one `localize` or `activation_maps` may run at a time. The method is moved to the device and put into
    evaluation mode.

    Example:
        >>> predictor = Predictor.open(Path("model"))
        >>> samples = read_folder(Path("images"), labelled=False).samples
        >>> for found in predictor.localize(samples):
        ...     if isinstance(found, Localization):
        ...         print(found.file, [(region.label, region.box_xyxy) for region in found.regions])
    """

    def __init__(
        self,
        method: WsolMethod,
        card: ModelCard,
        device: str | torch.device = "auto",
        precision: str = "auto",
        workers: int = -1,
    ) -> None:
        """Take a method with its card; `Predictor.open` reads both from a model folder.

        Args:
            device: "auto", "cpu", "cuda" or "cuda:<n>".
            precision: "auto", "float32" or "bfloat16".
            workers: threads besides the network's; -1 for one a core, at most 16.

        Raises:
            ConfigError: the device is not here, or a setting is unknown.
        """
        self.card = card
        self.device = choose_device(str(device))
        self.precision = choose_precision(self.device, precision)
        # Two calls: a device together with a memory format is missing in torch's type hints.
        self.method = method.to(self.device).to(memory_format=torch.channels_last).eval()
        self._index_of = {name: index for index, name in enumerate(card.classes)}
        self._workers = workers if workers > 0 else min(MOST_WORKERS, usable_cores())

    @classmethod
    def open(cls, folder: Path, device: str = "auto", precision: str = "auto") -> Predictor:
        """The predictor of a model folder, as `fit` leaves it.

        Raises:
            CheckpointError: the folder holds no finished model, or one that cannot be used.
            ConfigError: the device is not here, or a setting is unknown.
        """
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
        """Localize the objects of images, one result a sample in their order.

        Args:
            samples: taken as results are; only their `file` and `path` are read, and what `classes_of` reads.
            classes_of: the classes to localize in a sample, such as `own_labels`. By default the most probable class,
                or every one from probability 0.5 on with a multi-label model.
            with_maps: keep the maps, (224, 224) in [0, 1].
            batch_size: images that pass the network together.
            flip: average over the mirrored image too.
            scales: average over input sides of so many times the model's own, rounded to multiples of 32 px.

        Returns:
            Boxes in pixels of the upright image, masks of its size, scores in [0, 1]. An image that cannot be read
            becomes an `Unreadable` and does not stop the rest.

        Raises:
            ConfigError: `batch_size` or a scale is not positive.
            DataError: while iterating, for a class that the model does not know.
        """
        finish = partial(self._localization, with_maps=with_maps)
        found = self._results(
            samples, lambda image: (image.sample, finish(image)), classes_of, batch_size, flip, scales
        )
        return (each if isinstance(each, Unreadable) else self._as_drawn(*each) for each in found)

    def activation_maps(
        self, samples: Iterable[Sample], classes_of: ClassesOf | None = None, batch_size: int = 32
    ) -> Iterator[ImageMaps | Unreadable]:
        """The final maps that `localize` extracts regions from, one result a sample in their order.

        Args and errors are those of `localize`.
        """
        return self._results(samples, lambda image: image, classes_of, batch_size)

    def image_maps(self, images: Sequence[DecodedImage], classes_of: ClassesOf) -> list[ImageMaps]:
        """The final maps of images that are decoded already, in the caller's thread."""
        output = run_network(self.method, images, self.device, self.precision, flip=False)
        results = self._finish_batch(output, InlineExecutor(), lambda image: image, classes_of)
        return [each for each in results if isinstance(each, ImageMaps)]

    def class_activation_map(self, pixels: RgbPixels, label: str | None) -> RawMap:
        """The map of a class in pixels (h, w, 3), such as a part of an image; averaged with the mirrored pixels.

        The class is `label` if the model knows it, else the most probable one.
        """
        size_wh = pixels.shape[1], pixels.shape[0]
        small = resize_to_square(pixels, self.card.config.side_px)
        decoded = [DecodedImage(Sample("", Path(), ()), size_wh, (small,), small)]
        output = run_network(self.method, decoded, self.device, self.precision, flip=True)
        row = output.probabilities[0].tolist()
        index = self._index_of[label] if label in self._index_of else int(np.argmax(row))
        return RawMap(self.card.classes[index], row[index], output.raw_maps([(index,)])[0][0])

    def _results(
        self,
        samples: Iterable[Sample],
        finish: Callable[[ImageMaps], T],
        classes_of: ClassesOf | None,
        batch_size: int,
        flip: bool = False,
        scales: Sequence[float] = (1.0,),
    ) -> Iterator[T | Unreadable]:
        """What `finish` makes of each image's maps, in a thread."""
        if batch_size < 1 or not scales or min(scales) <= 0:
            raise ConfigError(f"batch_size {batch_size} and scales {tuple(scales)} have to be positive.")
        sides = tuple(dict.fromkeys(max(32, round(self.card.config.side_px * scale / 32) * 32) for scale in scales))
        alone = isinstance(samples, Sized) and len(samples) == 1
        pool = InlineExecutor() if alone else ThreadPoolExecutor(self._workers, thread_name_prefix="localize")
        outputs = self._outputs(iter(samples), pool, batch_size, sides, flip)
        return self._finished(outputs, pool, finish, classes_of)

    def _finished(
        self,
        outputs: Iterator[BatchOutput],
        pool: Executor,
        finish: Callable[[ImageMaps], T],
        classes_of: ClassesOf | None,
    ) -> Iterator[T | Unreadable]:
        try:
            before: BatchOutput | None = None
            for output in outputs:
                # One batch late: a GPU is busy with the next one meanwhile.
                if before is not None:
                    yield from self._finish_batch(before, pool, finish, classes_of)
                before = output
            if before is not None:
                yield from self._finish_batch(before, pool, finish, classes_of)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _outputs(
        self, samples: Iterator[Sample], pool: Executor, batch_size: int, sides: tuple[int, ...], flip: bool
    ) -> Iterator[BatchOutput]:
        # On a CPU everything shares the cores, and a network that loses its own to a decoder waits for its slowest
        # thread: there images are decoded between the network's turns, elsewhere also during them.
        ahead = 1 if self.device.type == "cpu" else 2
        decoding: deque[list[Future[DecodedImage | Unreadable]]] = deque()

        def fill() -> None:
            while len(decoding) < ahead and (chunk := list(islice(samples, batch_size))):
                decoding.append([pool.submit(decode, sample, sides) for sample in chunk])

        fill()
        while decoding:
            decoded = [future.result() for future in decoding.popleft()]
            output = run_network(self.method, decoded, self.device, self.precision, flip)
            fill()
            yield output

    def _finish_batch(
        self, batch: BatchOutput, pool: Executor, finish: Callable[[ImageMaps], T], classes_of: ClassesOf | None
    ) -> Iterator[T | Unreadable]:
        """Final maps and what `finish` makes of them. Few images wait at a time, since their masks may be large."""
        readable = [image for image in batch.decoded if isinstance(image, DecodedImage)]
        rows = batch.probabilities.tolist()
        names = [None if classes_of is None else classes_of(image.sample) for image in readable]
        asked = [self._asked(*each) for each in zip(readable, rows, names, strict=True)]
        given = [each is not None for each in names]
        cuts = batch.edge_cuts(asked) if self.card.refine_edges else [None for _ in asked]
        rest = iter(zip(given, rows, asked, batch.raw_maps(asked), cuts, batch.object_fields(), strict=True))

        def result(image: DecodedImage | Unreadable, *rest: Any) -> T | Unreadable:
            return image if isinstance(image, Unreadable) else finish(self._image_maps(image, *rest))

        waiting: deque[Future[T | Unreadable]] = deque()
        for image in batch.decoded:
            waiting.append(pool.submit(result, image, *(() if isinstance(image, Unreadable) else next(rest))))
            if len(waiting) > 2 * self._workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _asked(self, image: DecodedImage, row: Sequence[float], given: Sequence[str] | None) -> tuple[int, ...]:
        """Indices of the classes to localize."""
        if given is None:
            present = [index for index, value in enumerate(row) if value >= PRESENT] if self.card.multi_label else []
            return tuple(present) or (int(np.argmax(row)),)
        names = dict.fromkeys(given)
        for name in names:
            if name not in self._index_of:
                known = ", ".join(self.card.classes)
                raise DataError(f"{image.sample.file}: the model does not know the class {name!r}; it knows {known}.")
        return tuple(self._index_of[name] for name in names)

    def _image_maps(
        self,
        image: DecodedImage,
        given: bool,
        row: Sequence[float],
        asked: Sequence[int],
        raw: NDArray[np.float32],
        cuts: NDArray[np.float32] | None,
        fields: ObjectFields | None,
    ) -> ImageMaps:
        final = final_maps(raw, image.pixels if self.card.refine_edges else None, cuts)
        maps = dict(zip((self.card.classes[index] for index in asked), final, strict=True))
        scores = dict(zip(self.card.classes, row, strict=True))
        return ImageMaps(image.sample, image.size_wh, image.pixels, scores, maps, given, fields)

    def _localization(self, image: ImageMaps, with_maps: bool) -> Localization:
        maps = image.maps if with_maps else {}
        return Localization(image.sample.file, image.size_wh, image.scores, tuple(self.regions(image)), maps)

    def _as_drawn(self, sample: Sample, found: Localization) -> Localization:
        """With the regions as people would draw them."""
        if self.card.looks_closer:
            found = from_closer_up(self, sample, found)
        return replace(found, regions=tuple(with_margin(region, self.card.box_margin) for region in found.regions))

    def regions(self, image: ImageMaps) -> list[Region]:
        """The objects of an image: those that the method tells apart, else the connected parts of its maps."""
        return [self.card.judged(region) for region in uncalibrated_regions(image, self.card)]
