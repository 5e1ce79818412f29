"""Draw a labelled data set with exact boxes and masks: animals on cluttered ground, small ones, or surface defects.

Every class stands on every ground with the same things around it, so nothing but the object tells its class. The small
emblem of an animal tells it for certain where it is worn; the outline tells it too, and so does the coat, most of the
time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from wsol_core.errors import ConfigError, DataError, StorageError
from wsol_core.synthetic.bodies import CLASS_NAMES
from wsol_core.synthetic.defects import DEFECT_NAMES, draw_defects, draw_flawless
from wsol_core.synthetic.groups import DrawnGroup, draw_group
from wsol_core.synthetic.single import SMALL, DrawnImage, draw_image
from wsol_core.synthetic.writing import ImageName, write_drawn, write_jpeg

TOUCHING_LOT = 2  # the random numbers that choose images with animals that touch; draw_group has stream 1
FLAWLESS_EVERY = 4  # so many images of defects come with one of a surface without any
FLAWLESS = Path("negatives")

Subject = Literal["animals", "small", "defects"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What there is to know of a subject. noun: what its classes are. touches: whether its objects may."""

    names: Sequence[str]
    sides_px: tuple[int, int]
    noun: str = "animals"
    touches: bool = False


_KINDS: Mapping[Subject, _Kind] = {
    "animals": _Kind(CLASS_NAMES, (256, 400), touches=True),
    "small": _Kind(CLASS_NAMES, (640, 960)),
    "defects": _Kind(DEFECT_NAMES, (256, 400), "defects"),
}


def draw_folder(
    out: Path,
    classes: int,
    images: int,
    seed: int,
    test_share: float = 0.25,
    sides_px: tuple[int, int] | None = None,
    on_image: Callable[[int], None] | None = None,
    touching: float = 0.0,
    subject: Subject = "animals",
) -> None:
    """Draw a data set into a folder: images/<class>/, masks/<class>/, and last annotations.jsonl for `read_folder`.

    Args:
        out: a folder that is new or empty.
        classes: how many classes, at most 24 of animals and 6 of defects.
        images: how many images, all classes together.
        seed: decides what is drawn; the same numbers give the same files.
        test_share: share of each class's images, in [0, 1), that goes to the split "test", spread evenly.
        sides_px: shortest and longest side of an image, in pixels; None: from 256 to 400, and from 640 to 960 where
            animals are small.
        on_image: called after every image with how many are written.
        touching: share of the images of animals, in [0, 1], with two to six of one class or more, of which half, on
            average, touch one of their own class (`draw_group`); drawn by lot, at 0 none and at 1 all.
        subject: "animals": one to three of one class that stay apart; "small": the same, each .3 to 2 % of the image;
            "defects": one to five scratches, spots, inclusions, cracks, stains or swarms of pits anywhere on a surface,
            each .1 to 10 % of the image. A folder `negatives` has surfaces without any, a quarter as many.

    Returns:
        Nothing; `read_folder(out)` reads what was drawn, with true boxes and masks.

    Raises:
        ConfigError: a number has no meaning.
        DataError: the folder is in use.
        StorageError: a file could not be written.

    Example:
        >>> draw_folder(Path("images"), classes=3, images=60, seed=0)
    """
    kind = _KINDS[subject]
    sides_px = sides_px or kind.sides_px
    _check_request(kind, classes, images, seed, test_share, sides_px, touching)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is in use; name a new or empty folder for the drawn images.")
    try:
        lines = []
        for index in range(images):
            split = "test" if _is_test(index // classes, test_share) else "train"
            name = ImageName(kind.names[index % classes], index)
            drawn = _draw(subject, seed, index, classes, sides_px, touching)
            lines.append(json.dumps(write_drawn(out, drawn, name, split)))
            if subject == "defects" and index % FLAWLESS_EVERY == 0:
                path = out / FLAWLESS / split / f"surface_{index:05d}.jpg"
                write_jpeg(path, draw_flawless(seed, index, sides_px), index)
            if on_image is not None:
                on_image(index + 1)
        (out / "annotations.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{out} could not be written ({reason}); free some space or name another folder.") from error


def _draw(
    subject: Subject, seed: int, index: int, classes: int, sides_px: tuple[int, int], touching: float
) -> DrawnImage | DrawnGroup:
    if subject == "defects":
        return draw_defects(seed, index, classes, sides_px)
    if subject == "small":
        return draw_image(seed, index, classes, sides_px, SMALL)
    if _touches(seed, index, touching):
        return draw_group(seed, index, classes, sides_px)
    return draw_image(seed, index, classes, sides_px)


def _check_request(
    kind: _Kind,
    classes: int,
    images: int,
    seed: int,
    test_share: float,
    sides_px: tuple[int, int],
    touching: float,
) -> None:
    if not 1 <= classes <= len(kind.names):
        raise ConfigError(f"classes is {classes}; between 1 and {len(kind.names)} kinds of {kind.noun} can be drawn.")
    if images < classes:
        raise ConfigError(f"images is {images}; every one of the {classes} classes needs one image or more.")
    if seed < 0:
        raise ConfigError(f"seed is {seed}; it has to be 0 or more.")
    if not 0 <= test_share < 1:
        raise ConfigError(f"test_share is {test_share}; it has to be at least 0 and below 1.")
    if not 0 <= touching <= 1:
        raise ConfigError(f"touching is {touching}; it has to be at least 0 and at most 1.")
    if touching and not kind.touches:
        raise ConfigError(
            f"touching is {touching}; only animals of the usual size can be drawn touching, so leave it 0."
        )
    if not 64 <= sides_px[0] <= sides_px[1]:
        raise ConfigError(f"sides_px is {sides_px}; it needs the shortest and the longest side, 64 pixels or more.")


def _is_test(turn: int, test_share: float) -> bool:
    """Whether the image of a class that comes at `turn` (0, 1, ...) belongs to the test split."""
    return int((turn + 1) * test_share + 1e-9) > int(turn * test_share + 1e-9)


def _touches(seed: int, index: int, share: float) -> bool:
    """Whether image `index` is one of the share with animals that touch; the lot leaves all other numbers alone."""
    return bool(np.random.default_rng([seed, index, TOUCHING_LOT]).random() < share)
