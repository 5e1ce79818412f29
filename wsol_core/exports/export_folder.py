"""A data set's folder: there when it is whole, with `export.json` to say what it holds. Torch-free.

Pictures get one name each, without folders and of a stem of its own, since YOLO and VOC name other files by the stem.
A picture that EXIF turns is written upright, since most readers do not turn it; every other one stays as it is, byte by
byte.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from dataclasses import replace as dataclass_replace
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import ExifTags, Image, ImageOps

from wsol_core.data.folder import SUFFIXES, TRAIN
from wsol_core.data.images import orientation_of
from wsol_core.errors import ConfigError, DataError, ExportExistsError, StorageError
from wsol_core.exports.formats import OpenFormat
from wsol_core.exports.records import ExportedImage, Source
from wsol_core.files import write_whole

MARKER = "export.json"
QUALITY = 95  # of a JPEG that had to be turned
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif", "DIB": ".bmp"}
_LONGEST_STEM = 120


class Pictures(StrEnum):
    """What becomes of the pictures."""

    COPY = "copy"
    LINK = "link"  # a hard link where the disk has them, else a symbolic one
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: images a split, objects a source, and how many images show none."""

    images: dict[str, int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    empty: int = 0


def write_dataset(
    images: Iterable[ExportedImage],
    classes: Sequence[str],
    open_format: OpenFormat,
    out: Path,
    *,
    pictures: Pictures = Pictures.COPY,
    replace: bool = False,
    about: dict[str, Any] | None = None,
    on_image: Callable[[int], None] | None = None,
) -> Exported:
    """Write a data set into the folder `out`, which is there when all of it is written, and not before.

    Args:
        images: Taken one after the other.
        classes: All that objects may have, in their order.
        open_format: One of `FORMATS`.
        pictures: Whether to copy, link or leave out the files at `ExportedImage.path`.
        replace: Write over an older export in `out`.
        about: Further entries of `export.json`.
        on_image: Called with the number of images so far.

    Raises:
        ConfigError: `out` is there already, and is no export or may not be replaced.
        DataError: There are no images.
        StorageError: A file could not be written; `out` is then as it was before.

    Example:
        >>> write_dataset(images, ["crab", "fish"], FORMATS["coco"], Path("data")).images
        {'train': 120, 'val': 30}
    """
    out = out.resolve()
    check_free(out, replace)
    counted: Counter[str] = Counter()
    objects: Counter[str] = Counter({source.value: 0 for source in Source})
    names, empty = _Names(), 0
    with _new_folder(out) as folder:
        written = open_format(folder, classes)
        for number, image in enumerate(images, 1):
            image = dataclass_replace(image, split=_plain(image.split) or TRAIN)
            file = names.take(image)
            if image.path is not None and pictures is not Pictures.NONE:
                place = folder / written.picture(file, image.split)
                place.parent.mkdir(parents=True, exist_ok=True)
                place_picture(image.path, place, pictures)
            written.add(image, file)
            counted[image.split] += 1
            objects.update(each.source.value for each in image.objects)
            empty += not image.objects
            if on_image is not None:
                on_image(number)
        if not counted:
            raise DataError("There is nothing to export: no image has been reviewed or has a prediction.")
        written.finish()
        result = Exported(dict(counted), dict(objects), empty)
        facts = {**(about or {}), **asdict(result), "classes": list(classes)}
        write_whole(folder / MARKER, (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())
    return result


def check_free(out: Path, replace: bool) -> None:
    """ConfigError unless an export may be written to `out`: nothing is there, an empty folder, or an older export."""
    if not (out.exists() or out.is_symlink()) or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MARKER).is_file():
        raise ConfigError(f"{out} is there already and is no export; name a folder that is new or empty.")
    if not replace:
        raise ExportExistsError(f"{out} holds an export already; name another folder, or have it replaced.")


def place_picture(picture: Path, place: Path, how: Pictures) -> None:
    """Put a picture at `place`; upright and without EXIF where that turns it, or would in programs but browsers."""
    with Image.open(picture) as image:
        is_turned = image.getexif().get(ExifTags.Base.Orientation, 1) not in (0, 1)
        if is_turned:
            upright = image if orientation_of(image) == 1 else ImageOps.exif_transpose(image)
            if place.suffix == ".jpg":
                upright.convert("RGB").save(place, quality=QUALITY)
            else:
                upright.save(place)
            return
    if how is Pictures.LINK:
        try:
            place.hardlink_to(picture.resolve())
        except OSError:  # another disk
            place.symlink_to(picture.resolve())
        return
    shutil.copyfile(picture, place)


class _Names:
    """File names that no two images share, nor their stems, whatever a disk makes of upper and lower case."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, image: ExportedImage) -> str:
        """The name of an image: its own, flat and in plain signs; with its number where that is taken."""
        path = PurePosixPath(_plain(image.name.strip("/").replace("/", "__")) or "image")
        known = path.suffix.lower() in SUFFIXES
        base = (path.stem if known else path.name)[-_LONGEST_STEM:]
        stem = base
        number = image.number
        while stem.casefold() in self._taken:
            stem = f"{base}-{number}"
            number += 1
        self._taken.add(stem.casefold())
        return stem + (suffix_of(image.path) if image.path else path.suffix.lower() if known else "")


def _plain(name: str) -> str:
    """A name of letters, digits and `_.-`, which is no path."""
    return re.sub(r"[^\w.-]+", "_", name).strip(".-")


def suffix_of(picture: Path) -> str:
    """The ending of a picture's file name by what it is, such as ".jpg"."""
    with Image.open(picture) as image:
        known = image.format or ""
    return _SUFFIXES.get(known, f".{known.lower()}" if known else picture.suffix)


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """An empty folder beside `out`, which takes its place when the block ends without an error, and is gone if not."""
    part = None
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.absolute().parent))
        part.chmod(0o755)
        yield part
        if out.is_dir():
            old = part.with_suffix(".old")
            out.replace(old)
            part.replace(out)
            shutil.rmtree(old)
        else:
            part.replace(out)
    except OSError as error:
        raise StorageError(
            f"{error.filename or out} could not be written: {error.strerror or error}. {out} is as it was before; "
            "make room or name another folder, then export again."
        ) from error
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
