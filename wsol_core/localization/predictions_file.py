"""Write what was localized: predictions.jsonl, mask images and, where kept, activation maps. Torch-free.

    predictions.jsonl                 one JSON object an image, in their order; complete or not there
    masks/<file>__<number>.png        a region's mask, black and white with one bit a pixel
    maps/<file>.npy                   the map of the image's first class asked for, float32, 224 x 224
    maps/<file>__<label>.npy          each class's map, where several were asked for

In these names the slashes of `file` are `__`.
"""

from __future__ import annotations

import io
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from wsol_core.cores import usable_cores
from wsol_core.errors import StorageError
from wsol_core.records import BoolMask, FloatMap, Localization, Region, Unreadable

PREDICTIONS, MASKS, MAPS = "predictions.jsonl", "masks", "maps"
MOST_WORKERS = 8
_PNG = [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """How many images have a line, how many regions they have, and the reasons of the unreadable ones.

    left_out: how many more regions were found, which would cost more time than they save.
    """

    images: int
    regions: int
    unreadable: tuple[str, ...]
    left_out: int = 0

    @property
    def localized(self) -> int:
        """How many images could be read."""
        return self.images - len(self.unreadable)


def write_predictions(
    results: Iterable[Localization | Unreadable],
    out: Path,
    maps: bool = False,
    on_image: Callable[[int], None] | None = None,
    images: Path | None = None,
) -> PredictionSummary:
    """Writes all of `results` into the folder `out` as they come; what was there of the same names is replaced.

    Args: maps: write the localizations' maps too. on_image: hears how many images are done. images: the folder that
        files are relative to, so that lines can say where each lies.
    Raises: StorageError where something cannot be written; predictions.jsonl is then as it was before.
    """
    images_from_out = None if images is None else _relative(images, out)
    temporary = out / f".{PREDICTIONS}.part"
    regions, left_out, unreadable, done = 0, 0, [], 0
    try:
        for folder in (out, out / MASKS, *([out / MAPS] if maps else [])):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w", encoding="utf-8") as lines:
                for result in _with_files_written(results, out, maps):
                    lines.write(json.dumps(to_line(result, images_from_out), ensure_ascii=False) + "\n")
                    done += 1
                    if isinstance(result, Unreadable):
                        unreadable.append(result.reason)
                    else:
                        regions += len(result.regions)
                        left_out += result.left_out
                    if on_image is not None:
                        on_image(done)
                lines.flush()
                os.fsync(lines.fileno())
            temporary.replace(out / PREDICTIONS)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        where = error.filename or out / PREDICTIONS
        raise StorageError(
            f"{where} could not be written: {error.strerror or error}. Make room or name another folder, then localize "
            "again."
        ) from error
    return PredictionSummary(done, regions, tuple(unreadable), left_out)


def to_line(result: Localization | Unreadable, images: str | None = None) -> dict[str, Any]:
    """An image's line: file, size, the model's class, scores of all, regions and left_out, a count; or file and error.

    Args: images: the folder of all files, as seen from that of the line.
    """
    if isinstance(result, Unreadable):
        return {"file": result.file, "error": result.reason}
    width, height = result.size_wh
    return {
        "file": result.file,
        **({} if images is None else {"path": f"{images}/{result.file}"}),
        "width": width,
        "height": height,
        "predicted_label": result.label,
        "scores": {name: round(value, 6) for name, value in result.scores.items()},
        "regions": [_region(region, mask_name(result.file, i)) for i, region in enumerate(result.regions)],
        "left_out": result.left_out,
    }


def _relative(images: Path, out: Path) -> str:
    """The folder of the images as seen from `out`; its whole path where they lie on different drives."""
    try:
        return Path(os.path.relpath(images, out)).as_posix()
    except ValueError:
        return images.absolute().as_posix()


def mask_name(file: str, number: int) -> str:
    """Path of a region's mask below the output folder; regions are numbered from 0."""
    return f"{MASKS}/{flat_name(file)}__{number}.png"


def map_name(file: str, label: str | None = None) -> str:
    """Path of an image's map below the output folder, or of one of its classes."""
    return f"{MAPS}/{flat_name(file)}{'' if label is None else '__' + flat_name(label)}.npy"


def flat_name(name: str) -> str:
    """A path as the name of one file."""
    return name.replace("/", "__")


def _region(region: Region, mask: str) -> dict[str, Any]:
    return {
        "label": region.label,
        "box_xyxy": list(region.box_xyxy),
        "score": round(region.score, 6),
        "keep": None if region.keep is None else round(region.keep, 6),
        "polygon": [list(point) for point in region.polygon],
        "mask": mask,
    }


def _with_files_written(
    results: Iterable[Localization | Unreadable], out: Path, maps: bool
) -> Iterator[Localization | Unreadable]:
    """The same results in order, each after its files are written; a few are written side by side."""
    workers = min(MOST_WORKERS, usable_cores())
    writing: deque[Future[Localization | Unreadable]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="write")
    try:
        for result in results:
            writing.append(pool.submit(_write_files, result, out, maps))
            if len(writing) > 2 * workers:
                yield writing.popleft().result()
        while writing:
            yield writing.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _write_files(result: Localization | Unreadable, out: Path, maps: bool) -> Localization | Unreadable:
    if isinstance(result, Unreadable):
        return result
    for number, region in enumerate(result.regions):
        _write(out / mask_name(result.file, number), encode_mask(region.mask))
    if maps and result.maps:
        _write(out / map_name(result.file), _npy(next(iter(result.maps.values()))))
        if len(result.maps) > 1:
            for label, values in result.maps.items():
                _write(out / map_name(result.file, label), _npy(values))
    return result


def encode_mask(mask: BoolMask) -> bytes:
    """A mask (H, W) as PNG with one bit a pixel, white on the object."""
    return bytes(cv2.imencode(".png", mask.view(np.uint8), _PNG)[1])


def _npy(values: FloatMap) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values.astype(np.float32, copy=False), allow_pickle=False)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk is noticed by write(), which knows no name
        raise
