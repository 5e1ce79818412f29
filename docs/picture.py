"""Makes the README's picture from a model and its test pictures.

PYTHONPATH=. python docs/picture.py MODEL IMAGES docs/drawn.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from wsol_core.data.folder import read_folder
from wsol_core.data.images import open_image
from wsol_core.evaluation.contact_sheet import Tile, contact_sheet
from wsol_core.localization.predictor import Predictor, own_labels
from wsol_core.records import Localization, Sample

SHOWN = 15


def tile(sample: Sample, found: Localization) -> Tile:
    """The picture with everything that was found on it."""
    mask = np.zeros(found.size_wh[::-1], bool)
    for region in found.regions:
        mask |= region.mask
    return Tile(open_image(sample.path), mask, tuple(region.box_xyxy for region in found.regions))


def main() -> None:
    """Localizes the first test pictures of all classes and lays them out."""
    model, images, out = map(Path, sys.argv[1:])
    samples = sorted(read_folder(images, "test").samples, key=lambda sample: sample.file[-9:])[:SHOWN]
    found = Predictor.open(model).localize(samples, classes_of=own_labels)
    tiles = [tile(s, f) for s, f in zip(samples, found, strict=True) if isinstance(f, Localization)]
    sheet = contact_sheet(tiles, row_px=180)
    cv2.imwrite(str(out), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
