"""Write drawn images, their masks, and their lines of annotations.jsonl."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wsol_core.records import BoolMask
from wsol_core.synthetic.groups import DrawnGroup
from wsol_core.synthetic.pixels import RgbImage
from wsol_core.synthetic.single import DrawnImage


@dataclass(frozen=True, slots=True)
class ImageName:
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


def write_drawn(out: Path, drawn: DrawnImage | DrawnGroup, name: ImageName, split: str) -> dict[str, object]:
    """Write an image and its masks; its line of annotations.jsonl."""
    if isinstance(drawn, DrawnGroup):
        return _write_group(out, drawn, name, split)
    return _write_image(out, drawn, name, split)


def _write_image(out: Path, image: DrawnImage, name: ImageName, split: str) -> dict[str, object]:
    """Write one image and its mask; its line of annotations.jsonl."""
    write_jpeg(out / name.image, image.image, name.index)
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


def _write_group(out: Path, group: DrawnGroup, name: ImageName, split: str) -> dict[str, object]:
    """Write one image and a mask for each of its objects; its line of annotations.jsonl."""
    write_jpeg(out / name.image, group.image, name.index)
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


def write_jpeg(path: Path, image: RgbImage, index: int) -> None:
    _write(path, ".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 74 + index * 7 % 20])


def _write_mask(path: Path, mask: BoolMask) -> None:
    _write(path, ".png", mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def _write(path: Path, kind: str, image: NDArray[np.uint8], options: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(kind, image, options)[1].tobytes())
