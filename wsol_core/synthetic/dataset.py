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
from wsol_core.records import BoolMask
from wsol_core.synthetic.animals import CutOut, draw_animal
from wsol_core.synthetic.bodies import ANIMALS
from wsol_core.synthetic.clutter import scatter, twig_in_front
from wsol_core.synthetic.pixels import RgbImage, as_float, as_rgb, blur, mix
from wsol_core.synthetic.scenes import draw_scene
from wsol_core.synthetic.textures import fractal_noise

CLASS_NAMES: tuple[str, ...] = tuple(ANIMALS)
PixelBox = tuple[int, int, int, int]  # x0, y0, x1, y1; x1 and y1 exclusive


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What makes the images hard. Shares and probabilities are in [0, 1]."""

    smallest: float = 0.3  # square root of the share of the image that an animal's box takes
    largest: float = 0.85
    typical_coat: float = 0.95  # how often an animal wears its class's pattern
    hue_spread: float = 0.05  # how far coats stray from their class's hue: standard deviation in turns
    emblem: float = 0.75  # how often an animal bears its class's emblem
    several: float = 0.2  # how often two or three animals stand in an image
    twigs: float = 0.25  # how often a twig hides a strip of the image
    things: tuple[int, int] = (2, 8)  # how many things of no class lie around, from and below


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
    width, height = (int(side) for side in rng.integers(sides_px[0], sides_px[1] + 1, 2))
    canvas = as_rgb(blur(_fade(draw_scene(rng, (width, height)), rng.uniform(0.5, 0.9)), rng.uniform(0.4, 1.8)))
    scatter(rng, canvas, int(rng.integers(*hard.things)))
    masks = _put_animals(rng, canvas, index % classes, hard)
    if rng.random() < hard.twigs:
        hidden = np.zeros((height, width), np.uint8)
        twig_in_front(rng, canvas, hidden)
        masks = [mask & (hidden < 128) for mask in masks]
    return DrawnImage(
        image=_photograph(rng, canvas),
        mask=np.logical_or.reduce(masks),
        boxes_xyxy=tuple(_tight_box(mask) for mask in masks),
        label=CLASS_NAMES[index % classes],
    )


def _fade(image: RgbImage, saturation: float) -> RgbImage:
    """The image with its colours closer to grey: places are less colourful than what lives in them."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return as_rgb(cv2.addWeighted(image, saturation, grey, 1 - saturation, 0))


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
            animal = _shrink(animal, min(width / w, height / h))
            h, w = animal.alpha.shape
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        if any(x < right and left < x + w and y < low and top < y + h for left, top, right, low in taken):
            continue
        taken.append((x, y, x + w, y + h))
        masks.append(_paste(rng, canvas, animal, (x, y)))
        if len(masks) == count:
            break
    return masks


def _shrink(animal: CutOut, factor: float) -> CutOut:
    """The same animal smaller, for an image too narrow for it."""
    h, w = animal.alpha.shape
    size_wh = (max(1, int(w * factor)), max(1, int(h * factor)))
    rgb, alpha = (
        as_float(cv2.resize(layer, size_wh, interpolation=cv2.INTER_AREA)) for layer in (animal.rgb, animal.alpha)
    )
    return CutOut(rgb, alpha)


def _paste(rng: Generator, canvas: RgbImage, animal: CutOut, at_xy: tuple[int, int]) -> BoolMask:
    """Blend the animal and its shadow into the canvas; (H, W) True where it covers at least half a pixel."""
    (x, y), (h, w) = at_xy, animal.alpha.shape
    full = np.zeros(canvas.shape[:2], np.float32)
    full[y : y + h, x : x + w] = animal.alpha
    fall = tuple(int(step) for step in rng.integers(1, 7, 2))
    shadow = blur(np.roll(full, fall, (0, 1)), rng.uniform(1.5, 4))
    canvas[:] = as_rgb(canvas * (1 - rng.uniform(0.2, 0.5) * shadow)[..., None])
    frame = canvas[y : y + h, x : x + w]
    frame[:] = as_rgb(mix(frame, animal.rgb, animal.alpha))
    covered: BoolMask = full >= 0.5
    return covered


def _photograph(rng: Generator, canvas: RgbImage) -> RgbImage:
    """What a camera adds: uneven light, a colour cast, contrast, a little blur and noise."""
    height, width = canvas.shape[:2]
    light = 0.8 + 0.4 * fractal_noise(rng, (width, height), max(width, height), 1)
    cast = rng.normal(1, 0.04, 3) * rng.uniform(0.85, 1.12)
    contrast = rng.uniform(0.85, 1.15)
    image = blur(128 + contrast * (canvas * (light[..., None] * as_float(cast)) - 128), rng.uniform(0.3, 1.0))
    return as_rgb(image + rng.uniform(1, 5) * rng.standard_normal(image.shape, np.float32))


def _tight_box(mask: BoolMask) -> PixelBox:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def draw_folder(
    out: Path,
    classes: int,
    images: int,
    seed: int,
    test_share: float = 0.25,
    sides_px: tuple[int, int] = (256, 400),
    on_image: Callable[[int], None] | None = None,
) -> None:
    """Draw a data set into a folder: images/<class>/, masks/<class>/, and last annotations.jsonl for `read_folder`.

    Args:
        out: a folder that is new or empty.
        classes: how many classes, at most 24.
        images: how many images, all classes together.
        seed: decides what is drawn; the same numbers give the same files.
        test_share: share of each class's images, in [0, 1), that goes to the split "test", spread evenly.
        sides_px: shortest and longest side of an image, in pixels.
        on_image: called after every image with how many are written.

    Returns:
        Nothing; `read_folder(out)` reads what was drawn, with true boxes and masks.

    Raises:
        ConfigError: a number has no meaning.
        DataError: the folder is in use.
        StorageError: a file could not be written.

    Example:
        >>> draw_folder(Path("images"), classes=3, images=60, seed=0)
    """
    _check_request(classes, images, seed, test_share, sides_px)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is in use; name a new or empty folder for the drawn images.")
    try:
        lines = []
        for index in range(images):
            split = "test" if _is_test(index // classes, test_share) else "train"
            lines.append(json.dumps(_write_image(out, draw_image(seed, index, classes, sides_px), index, split)))
            if on_image is not None:
                on_image(index + 1)
        (out / "annotations.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{out} could not be written ({reason}); free some space or name another folder.") from error


def _check_request(classes: int, images: int, seed: int, test_share: float, sides_px: tuple[int, int]) -> None:
    if not 1 <= classes <= len(CLASS_NAMES):
        raise ConfigError(f"classes is {classes}; between 1 and {len(CLASS_NAMES)} can be drawn.")
    if images < classes:
        raise ConfigError(f"images is {images}; every one of the {classes} classes needs one image or more.")
    if seed < 0:
        raise ConfigError(f"seed is {seed}; it has to be 0 or more.")
    if not 0 <= test_share < 1:
        raise ConfigError(f"test_share is {test_share}; it has to be at least 0 and below 1.")
    if not 64 <= sides_px[0] <= sides_px[1]:
        raise ConfigError(f"sides_px is {sides_px}; it needs the shortest and the longest side, 64 pixels or more.")


def _is_test(turn: int, test_share: float) -> bool:
    """Whether the image of a class that comes at `turn` (0, 1, ...) belongs to the test split."""
    return int((turn + 1) * test_share + 1e-9) > int(turn * test_share + 1e-9)


def _write_image(out: Path, image: DrawnImage, index: int, split: str) -> dict[str, object]:
    """Write one image and its mask; its line of annotations.jsonl."""
    file = Path("images") / image.label / f"{image.label}_{index:05d}.jpg"
    mask = Path("masks") / image.label / f"{image.label}_{index:05d}.png"
    quality = 74 + index * 7 % 20
    _write(out / file, ".jpg", np.ascontiguousarray(image.image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    _write(out / mask, ".png", image.mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    height, width = image.mask.shape
    return {
        "file": file.as_posix(),
        "label": image.label,
        "split": split,
        "width": width,
        "height": height,
        "boxes": [list(box) for box in image.boxes_xyxy],
        "mask": mask.as_posix(),
    }


def _write(path: Path, kind: str, image: NDArray[np.uint8], options: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(kind, image, options)[1].tobytes())
