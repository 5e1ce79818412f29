"""The section of the HTML report on mistakes: the worst images of each kind, with their true and predicted boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.data.images import RgbPixels, open_image
from wsol_core.evaluation.mistakes import MEANINGS, LabelledBox, Mistake, MistakeKind, MistakenImage, MistakesOfKind
from wsol_core.evaluation.overlay import draw_overlay
from wsol_core.records import BoxXyxy, Sample

IMAGE_PX = 480  # the longer side
MOST_LINES = 4  # below an image; the rest is counted
THIN_PX, THICK_PX = 2, 5  # lines of other boxes, and of those that are the mistake


def mistake_sections(
    mistakes: Mapping[MistakeKind, MistakesOfKind], samples: Sequence[Sample], folder: Path, prefix: str
) -> str:
    """The HTML of all kinds that occur; their images are written to `folder`, which the page calls `prefix`.

    Raises: OSError where an image cannot be written.
    """
    path_of = {sample.file: sample.path for sample in samples}
    sections = []
    for kind, found in mistakes.items():
        cards = []
        for number, image in enumerate(found.worst):
            name = f"{kind.replace(' ', '-')}-{number}.jpg"
            write_jpeg(folder / name, _picture(open_image(path_of[image.file]), image))
            cards.append(_card(f"{prefix}/{name}", image))
        if cards:
            sections.append(_section(kind, found, cards))
    return "\n".join(sections) or "<p>None.</p>"


def write_jpeg(path: Path, pixels: RgbPixels) -> None:
    """Writes (H, W, 3) RGB. Raises: OSError."""
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    path.write_bytes(data.tobytes())


def _picture(pixels: RgbPixels, image: MistakenImage) -> RgbPixels:
    """The image with all boxes, those that are the mistake in thick lines."""
    height, width = pixels.shape[:2]
    scale = IMAGE_PX / max(height, width)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    found = {index for mistake in image.mistakes for index in mistake.found}
    true = {index for mistake in image.mistakes for index in mistake.true}
    (wrong, other), (concerned, rest) = _parted(image.found, found), _parted(image.true, true)
    thin = draw_overlay(pixels, size_wh, None, other, rest, THIN_PX)
    shrink = np.array([size_wh[0] / width, size_wh[1] / height] * 2)
    wrong, concerned = ([_scaled(box, shrink) for box in boxes] for boxes in (wrong, concerned))
    return draw_overlay(thin, size_wh, None, wrong, concerned, THICK_PX)


def _parted(boxes: Sequence[LabelledBox], chosen: set[int]) -> tuple[list[BoxXyxy], list[BoxXyxy]]:
    """The chosen ones and the others."""
    inside = [box.box_xyxy for index, box in enumerate(boxes) if index in chosen]
    return inside, [box.box_xyxy for index, box in enumerate(boxes) if index not in chosen]


def _scaled(box_xyxy: BoxXyxy, factors: NDArray[np.float64]) -> BoxXyxy:
    """Args: factors: (4,)."""
    x0, y0, x1, y1 = (np.array(box_xyxy) * factors).tolist()
    return x0, y0, x1, y1


def _section(kind: MistakeKind, found: MistakesOfKind, cards: Sequence[str]) -> str:
    images = "1 image" if found.images == 1 else f"{found.images} images"
    return (
        f"<h3>{escape(kind.capitalize())} <span>{found.count} in {images}</span></h3><p>{escape(MEANINGS[kind])}</p>"
        f'<div class="cards small">{"".join(cards)}</div>'
    )


def _card(source: str, image: MistakenImage) -> str:
    kind = image.mistakes[0].kind
    alt = escape(f"{image.file}: true and predicted boxes; {kind}", quote=True)
    says = _counted([_sentence(mistake, image) for mistake in image.mistakes])
    more = [f"and {len(says) - MOST_LINES} more"] if len(says) > MOST_LINES else []
    lines = "".join(f"<span>{escape(sentence)}</span>" for sentence in [*says[:MOST_LINES], *more])
    return (
        f'<figure class="bad"><img loading="lazy" src="{source}" alt="{alt}">'
        f"<figcaption>{lines}<small>{escape(image.file)}</small></figcaption></figure>"
    )


def _sentence(mistake: Mistake, image: MistakenImage) -> str:
    """What is wrong, in a few words."""
    true = ", ".join(_counted([image.true[index].label for index in mistake.true]))
    found = [image.found[index] for index in mistake.found]
    predicted = found[0].label if found else ""
    sure = f"score {found[0].score:.2f}" if found else ""
    return {
        MistakeKind.MISSED: f"{true}: not found",
        MistakeKind.MERGED: f"one {predicted} ({sure}) over {true}",
        MistakeKind.SPLIT: f"{len(found)} predictions on one {true}",
        MistakeKind.LOOSE: f"{true}: IoU {1 - mistake.weight:.2f}, {sure}",
        MistakeKind.WRONG_CLASS: f"{predicted} ({sure}) where {true} is",
        MistakeKind.NOTHING_THERE: f"{predicted} ({sure}) where nothing is",
    }[mistake.kind]


def _counted(words: Sequence[str]) -> list[str]:
    """Each of them once, after how often it occurs if that is more than once."""
    return [word if count == 1 else f"{count} × {word}" for word, count in Counter(words).items()]
