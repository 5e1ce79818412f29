"""Draw a labelled data set: animals on cluttered ground, with exact boxes and masks.

Every class stands on every ground with the same things around it, so nothing but the animal tells its class. A small
emblem tells it for certain where it is worn; the outline tells it too, and so does the coat, most of the time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from wsol_core.errors import ConfigError, DataError, StorageError
from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask
from wsol_core.synthetic.animals import draw_animal
from wsol_core.synthetic.bodies import CLASS_NAMES
from wsol_core.synthetic.compositing import (
    Difficulty,
    PixelBox,
    draw_ground,
    paste,
    photograph,
    put_twig,
    shrink,
)
from wsol_core.synthetic.groups import DrawnGroup, draw_group
from wsol_core.synthetic.pixels import RgbImage

TOUCHING_LOT = 2  # the random numbers that choose images with animals that touch; draw_group has stream 1


@dataclass(frozen=True, slots=True)
class DrawnImage:
    """image: (H, W, 3) RGB. mask: (H, W), True on every animal's visible pixels. One box an animal."""

    image: RgbImage
    mask: BoolMask
    boxes_xyxy: tuple[PixelBox, ...]
    label: str


def draw_image(
    seed: int, index: int, classes: int, sides_px: tuple[int, int] = (256, 400), difficulty: Difficulty | None = None
) -> DrawnImage:
    """Image `index` of the data set `seed`; its class is the index modulo `classes`, nothing else depends on others.

    Both sides are drawn from `sides_px`, first and last included.
    """
    hard = difficulty or Difficulty()
    rng = np.random.default_rng([seed, index])
    canvas = draw_ground(rng, sides_px, hard)
    masks = _put_animals(rng, canvas, index % classes, hard)
    if rng.random() < hard.twigs:
        masks = put_twig(rng, canvas, masks)
    return DrawnImage(
        image=photograph(rng, canvas),
        mask=np.logical_or.reduce(masks),
        boxes_xyxy=tuple(bounds(mask) for mask in masks),
        label=CLASS_NAMES[index % classes],
    )


def _put_animals(rng: Generator, canvas: RgbImage, class_index: int, hard: Difficulty) -> list[BoolMask]:
    """Paint one to three animals of the class that do not touch; their masks, (H, W) each."""
    height, width = canvas.shape[:2]
    count = int(rng.integers(2, 4)) if rng.random() < hard.several else 1
    largest = hard.largest if count == 1 else min(hard.largest, 0.45)
    taken: list[PixelBox] = []
    masks: list[BoolMask] = []
    for _ in range(4 * count):
        size_px = float(np.sqrt(width * height)) * rng.uniform(min(hard.smallest, largest), largest)
        animal = draw_animal(rng, class_index, size_px, hard.typical_coat, hard.hue_spread, hard.emblem)
        h, w = animal.alpha.shape
        if w > width or h > height:
            animal = shrink(animal, min(width / w, height / h))
            h, w = animal.alpha.shape
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        if any(x < right and left < x + w and y < low and top < y + h for left, top, right, low in taken):
            continue
        taken.append((x, y, x + w, y + h))
        masks.append(paste(rng, canvas, animal, (x, y)))
        if len(masks) == count:
            break
    return masks


def draw_folder(
    out: Path,
    classes: int,
    images: int,
    seed: int,
    test_share: float = 0.25,
    sides_px: tuple[int, int] = (256, 400),
    on_image: Callable[[int], None] | None = None,
    touching: float = 0.0,
) -> None:
    """Draw a data set into a folder: images/<class>/, masks/<class>/, and last annotations.jsonl for `read_folder`.

    An image has one to three animals of one class that stay apart; one of those that `touching` is about has two to six
    of one class or more, and half of them, on average, touch one of their own class (`draw_group`).

    Args:
        out: a folder that is new or empty.
        classes: how many classes, at most 24.
        images: how many images, all classes together.
        seed: decides what is drawn; the same numbers give the same files.
        test_share: share of each class's images, in [0, 1), that goes to the split "test", spread evenly.
        sides_px: shortest and longest side of an image, in pixels.
        on_image: called after every image with how many are written.
        touching: share of the images, in [0, 1], with animals that touch; drawn by lot, at 0 none and at 1 all.

    Returns:
        Nothing; `read_folder(out)` reads what was drawn, with true boxes and masks.

    Raises:
        ConfigError: a number has no meaning.
        DataError: the folder is in use.
        StorageError: a file could not be written.

    Example:
        >>> draw_folder(Path("images"), classes=3, images=60, seed=0)
    """
    _check_request(classes, images, seed, test_share, sides_px, touching)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is in use; name a new or empty folder for the drawn images.")
    try:
        lines = []
        for index in range(images):
            split = "test" if _is_test(index // classes, test_share) else "train"
            name = _Name(CLASS_NAMES[index % classes], index)
            if _touches(seed, index, touching):
                row = _write_group(out, draw_group(seed, index, classes, sides_px), name, split)
            else:
                row = _write_image(out, draw_image(seed, index, classes, sides_px), name, split)
            lines.append(json.dumps(row))
            if on_image is not None:
                on_image(index + 1)
        (out / "annotations.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{out} could not be written ({reason}); free some space or name another folder.") from error


def _check_request(
    classes: int, images: int, seed: int, test_share: float, sides_px: tuple[int, int], touching: float
) -> None:
    if not 1 <= classes <= len(CLASS_NAMES):
        raise ConfigError(f"classes is {classes}; between 1 and {len(CLASS_NAMES)} can be drawn.")
    if images < classes:
        raise ConfigError(f"images is {images}; every one of the {classes} classes needs one image or more.")
    if seed < 0:
        raise ConfigError(f"seed is {seed}; it has to be 0 or more.")
    if not 0 <= test_share < 1:
        raise ConfigError(f"test_share is {test_share}; it has to be at least 0 and below 1.")
    if not 0 <= touching <= 1:
        raise ConfigError(f"touching is {touching}; it has to be at least 0 and at most 1.")
    if not 64 <= sides_px[0] <= sides_px[1]:
        raise ConfigError(f"sides_px is {sides_px}; it needs the shortest and the longest side, 64 pixels or more.")


def _is_test(turn: int, test_share: float) -> bool:
    """Whether the image of a class that comes at `turn` (0, 1, ...) belongs to the test split."""
    return int((turn + 1) * test_share + 1e-9) > int(turn * test_share + 1e-9)


def _touches(seed: int, index: int, share: float) -> bool:
    """Whether image `index` is one of the share with animals that touch; the lot leaves all other numbers alone."""
    return bool(np.random.default_rng([seed, index, TOUCHING_LOT]).random() < share)


@dataclass(frozen=True, slots=True)
class _Name:
    """Where the files of one image lie."""

    label: str
    index: int

    @property
    def image(self) -> Path:
        return Path("images") / self.label / f"{self.label}_{self.index:05d}.jpg"

    def mask(self, number: int | None = None) -> Path:
        """Args: number: of the object whose mask it is; None for the one mask of all."""
        end = "" if number is None else f"__{number}"
        return Path("masks") / self.label / f"{self.label}_{self.index:05d}{end}.png"


def _write_image(out: Path, image: DrawnImage, name: _Name, split: str) -> dict[str, object]:
    """Write one image and its mask; its line of annotations.jsonl."""
    _write_jpeg(out / name.image, image.image, name.index)
    _write_mask(out / name.mask(), image.mask)
    height, width = image.mask.shape
    return {
        "file": name.image.as_posix(),
        "label": image.label,
        "split": split,
        "width": width,
        "height": height,
        "boxes": [list(box) for box in image.boxes_xyxy],
        "mask": name.mask().as_posix(),
    }


def _write_group(out: Path, group: DrawnGroup, name: _Name, split: str) -> dict[str, object]:
    """Write one image and a mask for each of its animals; its line of annotations.jsonl."""
    _write_jpeg(out / name.image, group.image, name.index)
    for number, each in enumerate(group.objects):
        _write_mask(out / name.mask(number), each.mask)
    height, width = group.image.shape[:2]
    return {
        "file": name.image.as_posix(),
        "labels": list(group.labels),
        "split": split,
        "width": width,
        "height": height,
        "objects": [
            {"label": each.label, "box": list(each.box_xyxy), "mask": name.mask(number).as_posix()}
            for number, each in enumerate(group.objects)
        ],
        "boxes": [list(each.box_xyxy) for each in group.objects],
        "box_labels": [each.label for each in group.objects],
    }


def _write_jpeg(path: Path, image: RgbImage, index: int) -> None:
    _write(path, ".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 74 + index * 7 % 20])


def _write_mask(path: Path, mask: BoolMask) -> None:
    _write(path, ".png", mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def _write(path: Path, kind: str, image: NDArray[np.uint8], options: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(kind, image, options)[1].tobytes())
