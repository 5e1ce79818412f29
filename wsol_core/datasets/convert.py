"""`convert`: a published data set, as it unpacks, becomes a folder that read_folder reads. Images are linked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from wsol_core.data.folder import ANNOTATIONS
from wsol_core.datasets.coco import coco
from wsol_core.datasets.cub import cub
from wsol_core.datasets.ilsvrc import ilsvrc
from wsol_core.datasets.rows import Source
from wsol_core.datasets.voc import voc
from wsol_core.datasets.wsolevaluation import wsolevaluation
from wsol_core.errors import ConfigError, DataError, StorageError

KINDS: Mapping[str, Callable[[Path], Source]] = {
    "cub": cub,
    "ilsvrc": ilsvrc,
    "wsolevaluation": wsolevaluation,
    "voc": voc,
    "coco": coco,
}


@dataclass(frozen=True, slots=True)
class Converted:
    """What `convert` wrote: how many images each split has, how many classes there are, and how many boxes."""

    images: Mapping[str, int]
    classes: int
    objects: int


def convert(kind: str, source: Path, out: Path, on_image: Callable[[int], None] | None = None) -> Converted:
    """Write `annotations.jsonl` and links to the images of a data set into the folder `out`.

    Lines are written as they are read, so memory does not grow with the images.

    Args:
        kind: One of `KINDS`; the reader of each says which files it wants.
        source: The folder that the data set unpacks to.
        out: Created where it does not exist; it may not hold another data set.
        on_image: Called with the number of images so far.

    Returns:
        What was written.

    Raises:
        ConfigError: The kind is unknown, or `out` holds a data set.
        DataError: The source is not in the layout of its kind; the message names what is missing.
        StorageError: A file or a link could not be written.

    Example:
        >>> convert("cub", Path("CUB_200_2011"), Path("cub")).images
        {'train': 5994, 'test': 5794}
    """
    if kind not in KINDS:
        raise ConfigError(f"Data set {kind!r} is unknown; choose one of {', '.join(KINDS)}.")
    if not source.is_dir():
        raise DataError(f"{source} is no folder; name the one that the data set unpacks to.")
    if (out / ANNOTATIONS).exists():
        raise ConfigError(f"{out} already holds a data set; name another folder.")
    found = KINDS[kind](source)
    images: Counter[str] = Counter()
    classes: set[str] = set()
    objects = 0
    with _writing(out) as file:
        for number, row in enumerate(found.rows(), 1):
            values = row.to_dict()
            file.write(json.dumps(values, ensure_ascii=False) + "\n")
            images[row.split] += 1
            classes.update(row.labels)
            objects += len(values.get("objects", ()))
            if on_image is not None:
                on_image(number)
        if not images:
            raise DataError(f"There are no images with classes in {source}; name the folder that has them.")
        _link(out, found.links)
    return Converted(dict(images), len(classes), objects)


@contextmanager
def _writing(out: Path) -> Iterator[TextIO]:
    """The file of annotations, which is there when the block ends without an error, and not at all otherwise."""
    part = out / f"{ANNOTATIONS}.part"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(out / ANNOTATIONS)
    except OSError as error:
        raise StorageError(f"{error.filename or out}: {error.strerror or error}; name another folder.") from error
    finally:
        part.unlink(missing_ok=True)


def _link(out: Path, links: Mapping[str, Path]) -> None:
    for name, target in links.items():
        link = out / name
        if not (link.is_symlink() and link.resolve() == target.resolve()):
            link.symlink_to(target.resolve(), target_is_directory=True)
