"""Read a folder of labelled images into Samples. No image is decoded here; torch-free.

Two layouts: a sub-folder of images per class; or a folder with `annotations.jsonl`, one JSON object a line:

    {"file": "images/car/x.jpg", "label": "car", "split": "train", "width": 500, "height": 375,
     "objects": [{"label": "car", "box": [x0, y0, x1, y1], "mask": "masks/car/x__0.png"}]}

Boxes are in pixels of the upright image, x1 and y1 exclusive; all but `file` and `label` may be missing, and a line
without `split` belongs to "train". An image of several classes has `"labels": [...]` instead of, or besides, `label`.
`objects` has one entry an object; its label is one of the image's, and its mask, if there is one, shows it alone.
`"ignore": "masks/car/x__ignore.png"` is a mask of pixels that pixel metrics leave out.

Older lines have `"boxes": [[x0, y0, x1, y1]]` instead, `"box_labels": [...]` for the class of each box where the image
has several, and one `"mask"` for all of them; `objects` wins where both are there. Unknown keys are ignored. A line
with `"labels": []` is an image that shows none of the classes: it is no sample, but one of `negatives`.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from wsol_core.data.file_names import is_hidden, is_text, readable, walk
from wsol_core.data.folder_warnings import folder_warnings
from wsol_core.errors import DataError
from wsol_core.records import CorrectedRegion, Sample

ANNOTATIONS = "annotations.jsonl"
TRAIN = "train"
_OBJECT = '{"label": "car", "box": [x0, y0, x1, y1], "mask": "masks/car/x__0.png"}'
_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".jp2")
LARGEST = 1e9  # of what is said of an image in pixels
SUFFIXES = frozenset(  # of the files that images.py reads
    (*_JPEG, ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".ppm", ".pgm", ".pbm", ".pnm")
)


@dataclass(frozen=True, slots=True)
class DataFolder:
    """What `read_folder` found.

    Attributes:
        samples: In the order of the annotations, or sorted by name.
        classes: Sorted by name.
        skipped: What was left out and why, and what looks like a mistake, a sentence each.
        negatives: Images whose line says that they show none of the classes.
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    negatives: tuple[Path, ...] = ()


def read_folder(
    folder: Path, split: str | None = None, boxes_per_class: int | None = 0, *, labelled: bool = True
) -> DataFolder:
    """Read a folder of labelled images; no image is opened.

    Args:
        folder: One sub-folder of images per class, or any folder with `annotations.jsonl`: one JSON object a line, such
            as {"file": "images/1.jpg", "label": "crab", "objects": [{"label": "crab", "box": [10, 20, 110, 90]}]}, with
            boxes (x0, y0, x1, y1) in pixels of the upright image.
        split: Only its images; None is all. Class folders have the one split "train".
        boxes_per_class: The regions of so many images a class may be learned from (`Sample.regions`), None for all.
            Which ones depends on their names only. `Sample.truth` always holds all.
        labelled: False accepts images without any class too, as for prediction.

    Returns:
        The samples with their classes, and what was skipped.

    Raises:
        DataError: The folder is missing or holds no images, or its annotations cannot be used; the message names the
            line.

    Example:
        >>> data = read_folder(Path("images"), split="train", boxes_per_class=5)
        >>> data.classes, len(data.samples)
        (('crab', 'fish'), 240)
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}; name a folder with one sub-folder of images per class.")
    if (folder / ANNOTATIONS).is_file():
        samples, skipped = _read_annotations(folder, split, labelled)
    else:
        samples, skipped = _read_class_folders(folder, labelled)
        if split not in (None, TRAIN):
            raise DataError(f"{folder} has no {ANNOTATIONS}, so it has no split {split!r}; leave the split out.")
    kept = [sample for sample in samples if sample.labels or not labelled]
    if not kept:
        which, why = " that show a class" if samples else "", f" ({skipped[0]})" if skipped else ""
        raise DataError(f"There are no images{which} in {folder}{why}; it needs one sub-folder of images per class.")
    classes = sorted({label for sample in kept for label in sample.labels})
    negatives = tuple(sample.path for sample in samples if labelled and not sample.labels)
    return DataFolder(tuple(_with_regions(kept, boxes_per_class)), tuple(classes), tuple(skipped), negatives)


def read_splits(folder: Path) -> dict[str, str]:
    """The split of each file that the folder's `annotations.jsonl` lists; nothing where there is none."""
    path = folder / ANNOTATIONS
    if not path.is_file():
        return {}
    rows = (_parse(text, f"{path}, line {number}") for number, text in _numbered_lines(path))
    return {str(row.get("file")): str(row.get("split", TRAIN)) for row in rows}


def find_images(folder: Path) -> tuple[Path, ...]:
    """All image files below `folder`, by their names' endings, sorted; hidden ones are left out."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; name a folder of images.")
    return tuple(_split_by_kind(folder)[0])


def _split_by_kind(folder: Path) -> tuple[list[Path], list[Path]]:
    """Image files and other files below `folder`, linked folders included, sorted."""
    images: list[Path] = []
    others: list[Path] = []
    for path in walk(folder):
        (images if path.suffix.lower() in SUFFIXES else others).append(path)
    return images, others


def _read_class_folders(folder: Path, labelled: bool) -> tuple[list[Sample], list[str]]:
    images, others = _split_by_kind(folder)
    skipped = [f"{readable(path.relative_to(folder).as_posix())} is no image by its name." for path in others]
    samples = []
    for path in images:
        parts = tuple(map(readable, path.relative_to(folder).parts))
        if len(parts) == 1 and labelled:
            skipped.append(f"{parts[0]} lies in no class folder.")
            continue
        samples.append(Sample("/".join(parts), path, parts[:1] if len(parts) > 1 else ()))
    filled = {sample.labels[0] for sample in samples if sample.labels}
    folders = sorted(readable(path.name) for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))
    if labelled:
        skipped += folder_warnings(folder, samples)
    if labelled and samples and (empty := [name for name in folders if name not in filled]):
        raise DataError(f"Class folder {folder / empty[0]} has no images; add some or remove the folder.")
    return samples, skipped


def _read_annotations(folder: Path, split: str | None, labelled: bool) -> tuple[list[Sample], list[str]]:
    samples: list[Sample] = []
    skipped: list[str] = []
    seen: dict[str, int] = {}
    splits: set[str] = set()
    for number, text in _numbered_lines(folder / ANNOTATIONS):
        where = f"{folder / ANNOTATIONS}, line {number}"
        row = _parse(text, where)
        splits.add(row.get("split", TRAIN))
        if split is not None and row.get("split", TRAIN) != split:
            continue
        sample = _sample(folder, row, where, labelled)
        if (before := seen.setdefault(sample.file, number)) != number:
            raise DataError(f"{where}: {sample.file} is listed before, on line {before}; put all into one line.")
        if sample.path.is_file():
            samples.append(sample)
        else:
            skipped.append(f"{sample.file} is listed but not there.")
    if split is not None and splits and split not in splits:
        known = ", ".join(sorted(splits))
        raise DataError(f"Split {split!r} is unknown in {folder / ANNOTATIONS}; it has {known}.")
    return samples, skipped


def _numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line by line, as there may be a million."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); it has to be UTF-8 text, one JSON object a line.") from error


def _parse(text: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no JSON ({error}); correct or remove the line.") from error
    if not isinstance(row, dict) or not isinstance(row.get("split", TRAIN), str):
        raise DataError(f'{where} has to be an object such as {{"file": "images/car/x.jpg", "label": "car"}}.')
    return row


def _sample(folder: Path, row: Mapping[str, Any], where: str, labelled: bool) -> Sample:
    file = _relative(row.get("file"), "file", where)
    labels = _labels(row, where)
    if labelled and not labels and row.get("labels") != []:
        raise DataError(f'{where}: {file} has no class; add "label", or "labels": [] if it shows none of the classes.')
    ignore = row.get("ignore")
    ignore_path = None if ignore is None else folder / _relative(ignore, "ignore", where)
    return Sample(file, folder / file, labels, truth=_truth(folder, row, labels, where), ignore_path=ignore_path)


def _relative(value: object, key: str, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise DataError(f'{where}: "{key}" is {value!r}; it has to be a path relative to the folder.')
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f'{where}: "{key}" {value!r} leads out of the folder; it has to be a path inside it.')
    return path.as_posix()


def _labels(row: Mapping[str, Any], where: str) -> tuple[str, ...]:
    labels = row.get("labels")
    names = [row.get("label"), *(labels if isinstance(labels, list) else [labels])]
    found = [name for name in names if name is not None]
    if not all(isinstance(name, str) and name.strip() and is_text(name) for name in found):
        raise DataError(f'{where}: "label" has to be a name and "labels" a list of names, got {found!r}.')
    return tuple(dict.fromkeys(found))


def _truth(folder: Path, row: Mapping[str, Any], labels: Sequence[str], where: str) -> tuple[CorrectedRegion, ...]:
    if (objects := row.get("objects")) is None:
        return _boxed(folder, row, labels, where)
    if not isinstance(objects, list):
        raise DataError(f'{where}: "objects" is {objects!r}; it has to be a list of {_OBJECT}.')
    return tuple(_object(folder, row, entry, labels, where) for entry in objects)


def _object(folder: Path, row: Mapping[str, Any], entry: object, labels: Sequence[str], where: str) -> CorrectedRegion:
    if not isinstance(entry, dict):
        raise DataError(f'{where}: {entry!r} in "objects" has to be {_OBJECT}.')
    label, mask = entry.get("label"), entry.get("mask")
    if not isinstance(label, str) or label not in labels:
        known = ", ".join(labels) or "none"
        raise DataError(f"{where}: an object's label is {label!r}; it has to be one of the image's labels ({known}).")
    mask_path = None if mask is None else folder / _relative(mask, "mask", where)
    return CorrectedRegion(label, _box(entry.get("box"), row, where), mask_path)


def _boxed(folder: Path, row: Mapping[str, Any], labels: Sequence[str], where: str) -> tuple[CorrectedRegion, ...]:
    """The regions of a line without `objects`, which share one mask file."""
    boxes, names = row.get("boxes") or [], row.get("box_labels")
    if not isinstance(boxes, list):
        raise DataError(f'{where}: "boxes" is {boxes!r}; it has to be a list of [x0, y0, x1, y1].')
    if boxes and names is None:
        if len(labels) != 1:
            raise DataError(f'{where} has boxes and {len(labels)} classes; add "box_labels", one for each box.')
        names = [labels[0]] * len(boxes)
    if boxes and (not isinstance(names, list) or len(names) != len(boxes) or any(name not in labels for name in names)):
        raise DataError(f'{where}: "box_labels" {names!r} need one of the image\'s labels for each box.')
    mask = row.get("mask")
    mask_path = None if mask is None else folder / _relative(mask, "mask", where)
    return tuple(
        CorrectedRegion(name, _box(box, row, where), mask_path) for name, box in zip(names or [], boxes, strict=True)
    )


def _box(box: object, row: Mapping[str, Any], where: str) -> tuple[float, float, float, float]:
    """The box, clipped to the image where its size is given."""
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        raise DataError(f"{where}: box {str(box)[:80]} has to be four numbers [x0, y0, x1, y1].")
    x0, y0, x1, y1 = (float(v) for v in box)
    width, height = row.get("width"), row.get("height")
    if is_number(width) and is_number(height) and width > 0 and height > 0:
        x0, x1 = max(x0, 0.0), min(x1, float(width))
        y0, y1 = max(y0, 0.0), min(y1, float(height))
    if not (x0 < x1 and y0 < y1):
        raise DataError(f"{where}: box {box!r} is empty or outside the image; it needs x0 < x1 and y0 < y1.")
    return x0, y0, x1, y1


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number, not a NaN, that an image's pixels can have to do with."""
    return isinstance(value, int | float) and abs(value) < LARGEST


def _with_regions(samples: Sequence[Sample], boxes_per_class: int | None) -> list[Sample]:
    """The samples with the regions that may be learned from."""
    if boxes_per_class is None:
        return [replace(sample, regions=sample.truth) for sample in samples]
    boxed: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        for label in {region.label for region in sample.truth}:
            boxed[label].append(sample.file)
    chosen = {label: set(sorted(files, key=_rank)[:boxes_per_class]) for label, files in boxed.items()}
    return [
        replace(sample, regions=tuple(r for r in sample.truth if sample.file in chosen[r.label])) for sample in samples
    ]


def _rank(file: str) -> bytes:
    """The same order on every machine, unrelated to names and to what a split depends on."""
    return hashlib.blake2b(file.encode(), digest_size=8, salt=b"regions").digest()
